"""The text of token ids, by the tokenizer that the run directory or its model folder has."""

from collections.abc import Sequence
from pathlib import Path

from redline.cluster.load import model_path

_FILE = "tokenizer.json"


class TokenTexts:
    """Texts of single tokens of one run; ids in angle brackets while no tokenizer is known."""

    def __init__(self, run: Path, model: str) -> None:
        """`model` is the setting of the run's configuration."""
        self._run = run
        self._model = model
        self._texts: dict[int, str] = {}
        self._tokenizer: object = None

    def texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The text of each token: (n,)."""
        tokenizer = self._load()
        return tuple(self._text(tokenizer, i) for i in ids)

    def _text(self, tokenizer: object, token: int) -> str:
        if tokenizer is None:
            return f"<{token}>"
        if token not in self._texts:
            text = tokenizer.decode([token], skip_special_tokens=False)  # type: ignore[attr-defined]
            self._texts[token] = text or f"<{token}>"
        return self._texts[token]

    def _load(self) -> object:
        """The tokenizer, looked for again until a checkpoint has one."""
        if self._tokenizer is None and (file := find_tokenizer(self._run, self._model)):
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(file))
        return self._tokenizer


def find_tokenizer(run: Path, model: str) -> Path | None:
    """A tokenizer file of a checkpoint, of the model folder, or None."""
    places = [*sorted(run.glob("checkpoints/step_*/hf")), Path(model_path(model)).expanduser()]
    return next((place / _FILE for place in places if (place / _FILE).is_file()), None)
