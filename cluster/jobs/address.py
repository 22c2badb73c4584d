"""Where a cluster's dashboard listens, which takes jobs."""

import os
from urllib.parse import urlsplit

from redline.cluster.errors import UserError

DEFAULT = "http://127.0.0.1:8265"
_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


def dashboard_address(given: str | None) -> str:
    """The address to talk to: the given one, else the environment's, else this machine's.

    RAY_ADDRESS counts where it is a web address; inside a cluster it names something else. Raises
    UserError for what is no web address.
    """
    text = given or next(filter(None, map(_from_environment, _VARIABLES)), DEFAULT)
    if "://" not in text:
        text = f"http://{text}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            f"--address {given or text} is no web address: give the one of the cluster's "
            f"dashboard, such as {DEFAULT} (printed by `ray start --head`)"
        )
    return text.rstrip("/")


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    return value if value.startswith(("http://", "https://")) else ""
