"""From a preset or file and `a.b=c` overrides to a checked configuration object."""

import difflib
import os
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin

from redline.actors.settings import SamplerSettings
from redline.cluster.config import DEMO_POLICY, RunConfig, SftConfig
from redline.cluster.errors import UserError, one_line
from redline.cluster.plugins import import_plugins
from redline.cluster.sampler_kinds import OWN
from redline.cluster.validation import check_run, check_sft

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PRESETS = Path(__file__).parent / "presets"
Schema = TypeVar("Schema", RunConfig, SftConfig)
_ALWAYS_SAVED = ("name", "steps")
"""Without these it is not known what a run is; other keys may be of another release."""


def load_config(name_or_file: str, overrides: "Sequence[str]" = ()) -> RunConfig:
    """The checked configuration of a training run.

    Raises UserError for an unknown preset, file, key or value, naming the nearest match.
    """
    config = _load(RunConfig, name_or_file, overrides)
    check_run(config)
    return config


def load_sft_config(name_or_file: str, overrides: "Sequence[str]" = ()) -> SftConfig:
    """The checked configuration of a supervised warm start; raises UserError like load_config."""
    config = _load(SftConfig, name_or_file, overrides)
    check_sft(config)
    return config


def load_saved(path: Path) -> RunConfig:
    """The configuration in a run's folder, for somebody who only looks at the run.

    Keys of other releases are left out; nothing is checked against the rest, and no plugin is
    imported. Raises UserError when the file is damaged, or not a whole one.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        layer = _read_yaml(path)
        if missing := [key for key in _ALWAYS_SAVED if key not in layer]:
            raise UserError(f"it has no {' and no '.join(missing)}")
        saved = OmegaConf.create(_known_part(RunConfig, layer))
        merged = OmegaConf.merge(OmegaConf.structured(RunConfig), saved)
        return cast("RunConfig", OmegaConf.to_object(merged))
    except (UserError, OmegaConfBaseException) as error:
        raise UserError(
            f"{path} is only half written or damaged ({_reason(error)}); start the run again under "
            "another name"
        ) from error


def to_yaml(config: RunConfig | SftConfig) -> str:
    """The whole configuration as YAML that `load_config` reads back."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.structured(config))


def preset_names(schema: type) -> list[str]:
    """Presets that belong to a schema; those of supervised training end in `_sft`."""
    names = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    return [name for name in names if name.endswith("_sft") == (schema is SftConfig)]


def model_path(model: str) -> str:
    """The folder of a model setting: the packaged policy's for its name, else as given."""
    return str(Path(__file__).parent / DEMO_POLICY) if model == DEMO_POLICY else model


def _load(schema: type[Schema], name_or_file: str, overrides: "Sequence[str]") -> Schema:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = _find(schema, name_or_file)
    merged = _typed(cast("Any", schema))
    known = set(_dotted_keys(schema))
    layers = [(str(path), _read_yaml(path)), *((text, _read_override(text)) for text in overrides)]
    for origin, layer in layers:
        _refuse_unknown(origin, _leaves(layer), known, _open_keys(schema))
        try:
            merged = OmegaConf.merge(merged, OmegaConf.create(layer))
        except OmegaConfBaseException as error:
            raise UserError(f"{origin}: {_reason(error)}") from error
    merged = _with_kinds(merged, [layer for _, layer in layers])
    if OmegaConf.is_missing(merged, "name"):
        merged["name"] = path.stem
    config = cast("Schema", OmegaConf.to_object(merged))
    import_plugins(config.plugins)
    return config


def _with_kinds(merged: Any, layers: "Sequence[dict[str, Any]]") -> Any:
    """Let further kinds of samplers have from `rollout` what no layer gives them."""
    from omegaconf import OmegaConf

    kinds = [kinds for layer in layers if (kinds := layer.get("rollout", {}).get("kinds"))]
    if not kinds:
        return merged
    rollout = cast("dict[str, Any]", OmegaConf.to_container(merged.rollout))
    taken = {f.name: rollout[f.name] for f in fields(SamplerSettings) if f.name not in OWN}
    names = {name for each in kinds for name in each}
    again = [dict.fromkeys(names, taken), *kinds]
    return OmegaConf.merge(merged, *({"rollout": {"kinds": each}} for each in again))


@cache
def _typed(schema: Any) -> Any:
    """The schema as OmegaConf knows it, which takes longer to make than all layers to merge."""
    from omegaconf import OmegaConf

    return OmegaConf.structured(schema)


def _find(schema: type, name_or_file: str) -> Path:
    """The YAML file that a preset's name or a path means."""
    looks_like_path = name_or_file.endswith((".yaml", ".yml")) or os.sep in name_or_file
    if looks_like_path:
        path = Path(name_or_file)
        if not path.is_file():
            raise UserError(f"no configuration file at {name_or_file}")
        return path
    names = preset_names(schema)
    if name_or_file not in names:
        raise UserError(
            f"no preset {name_or_file!r}{_nearest(name_or_file, names)}; presets: "
            f"{', '.join(names) or 'none'}; a path ending in .yaml is read as a file"
        )
    return PRESETS / f"{name_or_file}.yaml"


def _read_yaml(path: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from yaml import YAMLError

    try:
        layer = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {one_line(error)}") from error
    if not isinstance(layer, dict):
        raise UserError(f"{path}: expected keys and values, got {type(layer).__name__}")
    return cast("dict[str, Any]", layer)


def _read_override(text: str) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    key, equals, _ = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"override {text!r} is not of the form key=value, e.g. learner.ranks=2")
    try:
        layer = OmegaConf.to_container(OmegaConf.from_dotlist([text]))
    except (OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"override {text!r}: {one_line(error)}") from error
    return cast("dict[str, Any]", layer)


def _known_part(schema: type, layer: dict[str, Any]) -> dict[str, Any]:
    """What a dataclass tree has a place for."""
    kept: dict[str, Any] = {}
    for item in fields(schema):
        if item.name not in layer:
            continue
        value = layer[item.name]
        if isinstance(value, dict) and (inner := _section(item.type)):
            value = _known_part(inner, value)
        elif isinstance(value, dict) and (inner := _named_section(item.type)):
            value = {name: _known_part(inner, each) for name, each in value.items()}
        kept[item.name] = value
    return kept


def _section(annotation: Any) -> type | None:
    """The dataclass of a field that holds one."""
    return annotation if isinstance(annotation, type) and is_dataclass(annotation) else None


def _named_section(annotation: Any) -> type | None:
    """The dataclass of a field that maps names to such."""
    return _section(get_args(annotation)[1]) if get_origin(annotation) is dict else None


def _dotted_keys(schema: type, prefix: str = "") -> "Iterable[str]":
    """Every key of a dataclass tree, inner nodes included; `*` stands for names of the user's."""
    for item in fields(schema):
        yield prefix + item.name
        if inner := _section(item.type):
            yield from _dotted_keys(inner, f"{prefix}{item.name}.")
        elif inner := _named_section(item.type):
            yield f"{prefix}{item.name}.*"
            yield from _dotted_keys(inner, f"{prefix}{item.name}.*.")


def _open_keys(schema: type, prefix: str = "") -> tuple[str, ...]:
    """Prefixes of the keys that hold a mapping, whose own keys are the user's."""
    found: list[str] = []
    for item in fields(schema):
        if inner := _section(item.type):
            found += _open_keys(inner, f"{prefix}{item.name}.")
        elif inner := _named_section(item.type):
            found += _open_keys(inner, f"{prefix}{item.name}.*.")
        elif get_origin(item.type) is dict:
            found.append(f"{prefix}{item.name}.")
    return tuple(found)


def _leaves(layer: dict[str, Any], prefix: str = "") -> "Iterable[str]":
    for key, value in layer.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _refuse_unknown(
    origin: str, keys: "Iterable[str]", known: set[str], opened: tuple[str, ...]
) -> None:
    for key in keys:
        general, name = _general(key, known)
        if general not in known and not general.startswith(opened):
            like = [each for each in sorted(known) if ("*" in each) == ("*" in general)]
            hint = _nearest(general, like).replace("*", name)
            raise UserError(f"{origin}: unknown key {key!r}{hint}")


def _general(key: str, known: set[str]) -> tuple[str, str]:
    """A key with `*` for a name of the user's, and that name."""
    parts = key.split(".")
    for at, name in enumerate(parts):
        if ".".join([*parts[:at], "*"]) in known:
            return ".".join([*parts[:at], "*", *parts[at + 1 :]]), name
    return key, ""


def _reason(error: Exception) -> str:
    """OmegaConf's message without the lines that only its own developers need."""
    return one_line(error).partition(" full_key:")[0].removeprefix("Merge error: ")


def _nearest(word: str, choices: "Sequence[str]") -> str:
    """` (did you mean ...?)`, comparing whole keys first and then their last parts."""
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.7)
    if not close:
        by_last = {choice.rpartition(".")[2]: choice for choice in choices}
        last = difflib.get_close_matches(word.rpartition(".")[2], list(by_last), n=1, cutoff=0.7)
        close = [by_last[name] for name in last]
    return f" (did you mean {close[0]!r}?)" if close else ""
