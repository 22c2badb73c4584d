"""`redline export`: a folder that `from_pretrained` loads."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.errors import UserError
from redline.cluster.output import emit_json, say


class Dtype(StrEnum):
    """Types that weights can be written in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def export(
    source: Annotated[
        Path, typer.Argument(help="A run's folder, one of its checkpoints, or a policy.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
    dtype: Annotated[
        Dtype | None, typer.Option(help="Type of the weights; as they are if not given.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Write the trained policy of a run as a folder that `from_pretrained` loads."""
    policy = policy_folder(source)
    if output.exists():
        raise UserError(f"{output} exists; choose another folder or remove it")
    if not output.parent.is_dir():
        raise UserError(f"no folder {output.parent} to write {output.name} into")
    draft = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    if dtype is None:
        shutil.copytree(policy, draft)
    else:
        from redline.learner.model import write_as

        write_as(policy, draft, dtype.value)
    draft.rename(output)
    if json:
        emit_json({"source": str(policy), "output": str(output)})
    else:
        say(f"{policy} written to {output}")


def policy_folder(source: Path) -> Path:
    """The `hf` folder of a run's latest checkpoint, of a checkpoint, or the folder itself."""
    from redline.cluster.loop.checkpoints import Checkpoints

    if (source / "config.json").is_file():
        return source
    if (source / "hf" / "config.json").is_file():
        return source / "hf"
    latest = Checkpoints(source / "checkpoints", keep=1).latest()
    if latest is None:
        raise UserError(f"{source} is neither a policy, a checkpoint nor a run with a checkpoint")
    return latest[0] / "hf"
