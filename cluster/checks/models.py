"""Whether a model setting names something that can be loaded, asked without loading torch."""

from pathlib import Path

from redline.cluster.config import DEMO_POLICY
from redline.cluster.errors import UserError
from redline.cluster.load import model_path

_WEIGHTS = ("*.safetensors", "*.bin")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")


def find_model(model: str) -> str:
    """The folder or hub name to load; UserError when a folder is meant and there is none.

    A name counts as a folder unless it has the one slash of a hub name and does not exist here.
    """
    path = model_path(model)
    folder = Path(path).expanduser()
    if not folder.exists() and path.count("/") == 1 and not path.startswith((".", "/", "~")):
        return path
    if not folder.is_dir():
        hint = " (the demo policy is missing from this installation)" * (model == DEMO_POLICY)
        raise UserError(f"no model folder at {path}{hint}; set model=FOLDER or a hub name")
    if not (folder / "config.json").is_file():
        raise UserError(f"{path} is not a model folder: it has no config.json")
    if not any(any(folder.glob(pattern)) for pattern in _WEIGHTS):
        raise UserError(f"{path} has a config.json but no weights ({', '.join(_WEIGHTS)})")
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise UserError(f"{path} has a model but no tokenizer ({', '.join(_TOKENIZERS)})")
    return str(folder)
