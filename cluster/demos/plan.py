"""What demonstrations are made from, and how: everything that decides their content."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b

from redline.dsl.settings import CorruptionSettings, PromptSettings
from redline.dsl.task_fields import task_to_json
from redline.dsl.tasks import RepairTask
from redline.sandbox.settings import SandboxSettings

CORRUPTION, DIFF = "corruption", "diff"
METHODS = (CORRUPTION, DIFF)
"""Random edits of the reference, undone exactly; the shortest commands from broken to fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Settings of one file of demonstrations."""

    method: str
    per_task: int = 100
    """Demonstrations of each reference; without meaning for `diff`, which gives one each."""
    edits: tuple[int, int] = (1, 5)
    seed: int = 0
    keep_passing: bool = False
    """Keep repairs of which a program passes all tests before the last command."""
    max_tokens: int | None = None
    """Leave out longer demonstrations; counted by the tokenizer."""
    tokenizer: str | None = None
    corruption: CorruptionSettings = field(default_factory=CorruptionSettings)
    prompt: PromptSettings = field(default_factory=PromptSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)

    @property
    def demonstrations_per_task(self) -> int:
        """How many are wanted of each task."""
        return self.per_task if self.method == CORRUPTION else 1

    def describe(self, tasks: Sequence[RepairTask]) -> dict[str, object]:
        """The settings and a digest of the tasks, as JSON values: equal for equal work."""
        digest = blake2b(digest_size=16)
        for task in tasks:
            digest.update(task_to_json(task).encode())
        settings: dict[str, object] = json.loads(json.dumps(asdict(self)))
        return settings | {"tasks": len(tasks), "tasks_digest": digest.hexdigest()}
