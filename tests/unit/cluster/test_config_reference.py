"""docs/configuration.md says what the schema says."""

from pathlib import Path

from redline.cluster.config import RunConfig, SftConfig
from redline.cluster.config_reference import keys_of, reference
from redline.cluster.load import _dotted_keys

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == reference(), (
        "make it anew: python -m redline.cluster.config_reference > docs/configuration.md"
    )


def test_every_key_is_there_and_has_a_meaning():
    page = reference()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(not row.endswith("|  |") for row in rows)
    for schema in (RunConfig, SftConfig):
        for key in _dotted_keys(schema):
            assert f"`{key.rpartition('.')[2]}`" in page or f"`{key}`" in page or key.endswith("*")


def test_types_defaults_and_choices_are_the_schemas():
    found = {key.name: key for key in keys_of(RunConfig)}
    assert (found["steps"].type, found["steps"].default) == ("int", "`100`")
    assert found["name"].default == "the preset's or file's"
    page = reference()
    assert "tests. One of `namespaces`, `landlock`, `seccomp`, `none`." in page
    assert "One of `float32`" not in page, "its docstring names them"
