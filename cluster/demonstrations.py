"""Demonstrations as a file, and as text to train on."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from redline.cluster.files import write_atomically
from redline.cluster.judging import LocalFeedback, LocalJudge
from redline.dsl.demonstrations import RenderedTurn, demonstrate, render_demonstrations
from redline.dsl.generated import GeneratedTask
from redline.dsl.remembered_feedback import RememberedFeedback
from redline.dsl.settings import PromptSettings
from redline.sandbox.settings import SandboxSettings


def remembered_feedback(prompt: PromptSettings, sandbox: SandboxSettings) -> RememberedFeedback:
    """Feedback from sandboxes of this machine; each program is executed once, references too."""
    return RememberedFeedback(LocalFeedback(LocalJudge(sandbox), prompt), trust_references=False)


def make_demonstrations(
    generated: Sequence[GeneratedTask], prompt: PromptSettings, feedback: RememberedFeedback
) -> list[list[RenderedTurn]]:
    """States and commands of each repair, every one checked to end in passing tests."""
    return render_demonstrations(demonstrate(generated, feedback.judge), feedback, prompt)


def write_demonstrations(
    path: Path, generated: Sequence[GeneratedTask], sandbox: SandboxSettings
) -> None:
    """Write one JSON object a line: `task_id`, `split` and `turns` of `state` and `action`."""
    prompt = PromptSettings()
    rendered = make_demonstrations(generated, prompt, remembered_feedback(prompt, sandbox))
    lines = [
        json.dumps(
            {
                "task_id": made.task.task_id,
                "split": made.task.split,
                "turns": [asdict(turn) for turn in turns],
            }
        )
        for made, turns in zip(generated, rendered, strict=True)
    ]
    write_atomically(path, "".join(f"{line}\n" for line in lines))
