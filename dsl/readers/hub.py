"""Data sets of the Hugging Face hub, by name, through the `datasets` package where it is installed.

hf:google-research-datasets/mbpp          every split of the default configuration
hf:bigcode/humanevalpack:python           configuration `python`
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

_KNOWN = {
    "mbpp": "google-research-datasets/mbpp:full",
    "google-research-datasets/mbpp": "google-research-datasets/mbpp:full",
    "humanevalfix": "bigcode/humanevalpack:python",
    "bigcode/humanevalpack": "bigcode/humanevalpack:python",
}
"""Names without a configuration that mean one all the same."""


def dataset_rows(given: str) -> Iterator[Mapping[str, Any]]:
    """The rows of all splits of a data set, one split after the other; `given` follows `hf:`.

    Raises ImportError naming what to install where `datasets` is absent, and OSError when the
    data set cannot be loaded.
    """
    name, _, configuration = _KNOWN.get(given, given).partition(":")
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise ImportError(
            f"the data set {name!r} is loaded by the package `datasets`, which is not installed: "
            "pip install datasets, or give the path of the published JSONL file"
        ) from error
    try:
        splits = datasets.load_dataset(name, configuration or None)
    except (OSError, ValueError, RuntimeError) as error:
        raise OSError(f"data set {name!r} cannot be loaded: {error}") from error
    for rows in splits.values():
        yield from rows
