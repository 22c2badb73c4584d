"""The supervised warm start as a whole: tasks, demonstrations, a model, training, a folder.

An interrupted one leaves its checkpoints and its configuration in `.NAME.sft` beside the output
NAME, where `--resume` finds them.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redline.cluster.checks.models import find_model
from redline.cluster.config import SftConfig
from redline.cluster.demos.for_training import check_demonstrations, demonstrations_for
from redline.cluster.display.progress import Progress, open_progress
from redline.cluster.errors import UserError, one_line
from redline.cluster.files import write_atomically
from redline.cluster.load import to_yaml
from redline.dsl.demonstrations import RenderedTurn
from redline.dsl.dialogue import ChatTemplateError, make_dialogue

if TYPE_CHECKING:
    from redline.cluster.sft_solving import SolveRate
    from redline.learner.sft import SftProgress, SftResult

_STEPS_BETWEEN_LINES = 20


def run_sft(config: SftConfig, *, resume: bool = False) -> dict[str, Any]:
    """Train as configured and return the figures; UserError when the input cannot work.

    `resume` goes on with a run of the same configuration that was interrupted.
    """
    check_demonstrations(config)
    output = _check_output(config)
    _check_checkpoints(config, output, resume=resume)
    if config.model is not None:
        find_model(config.model)
    with open_progress(f"sft {config.name}") as progress:
        with progress.phase(_phase_of_demonstrations(config)):
            demonstrations = demonstrations_for(config)
        result, left_out = _train(config, demonstrations, output, progress)
        progress.say(f"policy written to {output}; look at it with: redline eval {output}")
    return {
        "output": str(output),
        "demonstrations": len(demonstrations),
        "steps": result.steps,
        "tokens": result.tokens,
        "seconds": round(result.seconds, 1),
        "heldout_loss": None if result.after is None else result.after.loss,
        "heldout_solved": None if result.after is None else result.after.solved,
        "left_out": left_out,
    }


def _phase_of_demonstrations(config: SftConfig) -> str:
    if config.demonstrations is not None:
        return f"reading demonstrations from {config.demonstrations}"
    origin = "" if config.tasks.train_file is None else f" from {config.tasks.train_file}"
    return f"making {config.tasks.train_count} tasks and demonstrations{origin}"


def _train(
    config: SftConfig,
    demonstrations: Sequence[Sequence[RenderedTurn]],
    output: Path,
    progress: Progress,
) -> "tuple[SftResult, int]":
    """The result, and how many demonstrations were too long."""
    with progress.phase("loading torch"):
        from redline.learner.model import load_tokenizer, make_tiny
        from redline.learner.sft import encode_demonstration, train_sft
    with tempfile.TemporaryDirectory(prefix="redline-sft-") as folder:
        model = config.model
        if model is None:
            with progress.phase("making a model and its tokenizer"):
                corpus = [turn.state + turn.action for turns in demonstrations for turn in turns]
                model = str(make_tiny(folder, config.tiny, corpus, seed=config.seed))
        tokenizer = load_tokenizer(model)
        try:
            make_dialogue(tokenizer, config.prompt)
        except ChatTemplateError as error:
            raise UserError(f"model {model}: {one_line(error)}") from error
        sequences = [
            encode_demonstration(tokenizer, turns, config.sft.state_loss_weight, config.prompt)
            for turns in demonstrations
        ]
        limit = config.sft.context
        fitting = [sequence for sequence in sequences if len(sequence.token_ids) <= limit]
        left_out = len(sequences) - len(fitting)
        if left_out:
            progress.say(f"{left_out} demonstrations have more than {limit} tokens: left out")
        if not fitting:
            raise UserError(f"no demonstration has at most {limit} tokens: raise sft.context")
        solve_rate = _solve_rate(config, model)
        checkpoints = _keep_configuration(config, output)
        draft = output.with_name(f".{output.name}.tmp")
        with progress.phase("training"):
            result = train_sft(
                model,
                draft,
                fitting,
                config.sft,
                seed=config.seed,
                on_progress=lambda state: _tell(progress, state),
                solve_rate=solve_rate,
                checkpoints=checkpoints,
            )
        draft.rename(output)
        shutil.rmtree(_checkpoints(output), ignore_errors=True)
    return result, left_out


def _solve_rate(config: SftConfig, model: str) -> "SolveRate | None":
    """What asks how many held-out tasks a policy solves; None when no task is to be tried."""
    if config.sft.solve_tasks == 0:
        return None
    from redline.actors.tokens import PolicyTokenizer
    from redline.cluster.evaluation.evaluating import spread
    from redline.cluster.judging import LocalJudge
    from redline.cluster.sft_solving import SolveRate
    from redline.cluster.task_supply import supply_heldout

    tasks = config.tasks
    if tasks.heldout_file is None:
        tasks = replace(tasks, heldout_count=config.sft.solve_tasks, heldout_family_count=0)
    found = supply_heldout(tasks, LocalJudge(config.sandbox))
    return SolveRate(spread(found, config.sft.solve_tasks), PolicyTokenizer.load(model), config)


def _tell(progress: Progress, state: "SftProgress") -> None:
    if state.heldout is None and state.step % _STEPS_BETWEEN_LINES != 0:
        return
    heldout = ""
    if state.heldout is not None:
        heldout = f"  held-out loss {state.heldout.loss:.3f}, exact {state.heldout.exact:.1%}"
        if state.heldout.solved is not None:
            heldout += f", solved {state.heldout.solved:.1%}"
    progress.say(
        f"sft step {state.step}  {state.progress:4.0%}  loss {state.loss:.3f}  "
        f"tokens/s {state.tokens / max(state.seconds, 1e-9):.0f}{heldout}"
    )


def _checkpoints(output: Path) -> Path:
    return output.with_name(f".{output.name}.sft")


def _check_checkpoints(config: SftConfig, output: Path, *, resume: bool) -> None:
    """UserError when a run was left that is not to be resumed, or none that could be."""
    folder = _checkpoints(output)
    kept = folder / "config.yaml"
    if not resume:
        if any(folder.glob("step_*")):
            raise UserError(
                f"an interrupted warm start for {output} is in {folder}: go on with --resume, or "
                "remove that folder"
            )
        return
    if not kept.is_file():
        raise UserError(f"no warm start to resume for output={output}; leave --resume out")
    if kept.read_text(encoding="utf-8") != to_yaml(config):
        raise UserError(
            f"the warm start in {folder} has another configuration: resume it with its own, "
            f"--config {kept}"
        )


def _keep_configuration(config: SftConfig, output: Path) -> Path | None:
    """Make the folder of the checkpoints, with the configuration that they belong to."""
    if config.sft.checkpoint_every == 0:
        return None
    folder = _checkpoints(output)
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "config.yaml", to_yaml(config))
    return folder


def _check_output(config: SftConfig) -> Path:
    output = Path(config.output)
    if output.exists():
        raise UserError(f"output={output} exists; remove it or choose another with output=FOLDER")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {output.parent}: {error.strerror}") from error
    return output
