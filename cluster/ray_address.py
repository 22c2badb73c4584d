"""What `--ray` of a command names: the cluster that its workers are on."""

LOCAL = "local"
"""In the place of an address: a Ray cluster of this machine's own."""


def address_of(given: str) -> str | None:
    """Address of a running cluster; None starts one on this machine that ends with the work."""
    return None if given == LOCAL else given
