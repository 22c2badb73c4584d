"""docs/configuration.md, made from the schema: every key with its type, default and docstring.

`python -m redline.cluster.config_reference > docs/configuration.md` writes it anew.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any

from redline.cluster.config import RunConfig, SftConfig
from redline.cluster.validation import choices

_INTRODUCTION = """\
# Configuration

*Made from the schema by `python -m redline.cluster.config_reference`; a test holds it up to date.*

A configuration is a preset (`--config demo`) or a YAML file (`--config mine.yaml`), with keys
changed on the command line (`learner.ranks=2`). A file holds what differs from the defaults below;
unknown keys and values that cannot work are refused before anything starts, with the nearest known
key. `--dry-run` prints the whole configuration and what it amounts to, and a run's own is kept as
`config.yaml` in its folder. Relative paths start at the folder that the command is called in; in a
submitted run the files and folders that they name travel with the job.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a configuration."""

    name: str
    """Dotted, without the section's prefix."""
    type: str
    default: str
    about: str


def reference() -> str:
    """The whole page, as Markdown."""
    parts = [_INTRODUCTION]
    told: set[tuple[str, type]] = set()
    for title, schema in (("`redline train`", RunConfig), ("`redline sft`", SftConfig)):
        parts.append(f"## {title}\n\n{_first_line(schema)}\n")
        sections = list(_sections(schema))
        parts += [_section(*section) for section in sections if section not in told]
        again = [f"`{prefix.rstrip('.')}`" for prefix, node in sections if (prefix, node) in told]
        if again:
            parts.append(f"{', '.join(again)}: as above.\n")
        told.update(sections)
    return "\n".join(parts)


def keys_of(schema: type, prefix: str = "") -> list[Key]:
    """The keys of one dataclass that hold values, in their order."""
    about = _attribute_docstrings(schema)
    return [
        Key(
            name=item.name,
            type=_type_name(item.type),
            default=_default(item),
            about=about.get(item.name, "") + _choices_of(prefix + item.name, about, item.name),
        )
        for item in fields(schema)
        if not _is_section(item)
    ]


def _sections(schema: type, prefix: str = "") -> Iterator[tuple[str, type]]:
    """A dataclass and those inside it, each with the prefix of its keys."""
    yield prefix, schema
    for item in fields(schema):
        if _is_section(item) and isinstance(item.type, type):
            yield from _sections(item.type, f"{prefix}{item.name}.")


def _is_section(item: "Field[Any]") -> bool:
    return isinstance(item.type, type) and is_dataclass(item.type)


def _section(prefix: str, schema: type) -> str:
    lines = [f"### `{prefix.rstrip('.')}`", "", _first_line(schema), ""] if prefix else []
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key.name}` | {key.type} | {key.default} | {key.about} |"
        for key in keys_of(schema, prefix)
    ]
    return "\n".join([*lines, ""])


def _choices_of(full_name: str, about: dict[str, str], name: str) -> str:
    """The allowed values that the docstring does not name itself."""
    allowed = [str(value) for value in choices(full_name)]
    if all(value in about.get(name, "") for value in allowed):
        return ""
    return f"{' ' * bool(about.get(name))}One of {', '.join(f'`{value}`' for value in allowed)}."


def _attribute_docstrings(schema: type) -> dict[str, str]:
    """The string after each field in the class's source, on one line."""
    found: dict[str, str] = {}
    for base in schema.__bases__:
        if is_dataclass(base):
            found |= _attribute_docstrings(base)
    (tree,) = ast.parse(inspect.getsource(schema)).body
    assert isinstance(tree, ast.ClassDef)
    for statement, after in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            text = " ".join(str(after.value.value).split())
            found[statement.target.id] = text.replace("|", "\\|")
    return found


def _first_line(schema: type) -> str:
    return (inspect.getdoc(schema) or "").partition("\n")[0]


def _type_name(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if "[" in str(annotation):  # a generic's own name would leave its arguments out
        text = re.sub(r"[\w.]+\.(?=\w)", "", str(annotation))
    return text.replace(" | None", " or null")


def _default(item: "Field[Any]") -> str:
    if item.default is not MISSING:
        value = item.default
    elif item.default_factory is not MISSING:
        value = item.default_factory()
    else:
        return "the preset's or file's"
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text.partition(chr(10))[0]}{' ...' * (chr(10) in text)}`" if text else "empty"


if __name__ == "__main__":
    print(reference(), end="")
