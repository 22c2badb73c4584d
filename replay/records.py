"""Every record that crosses a process between sampler, store and learner.

Arrays are one-dimensional numpy arrays, int32 for tokens, versions and turns, float32 for
log-probabilities, rewards and advantages, bool for masks. Log-probabilities are natural
logarithms under the distribution that was sampled from.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from redline.sandbox.records import Verdict

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]

BucketContent = UInt8 | bytes
"""The bytes of a bucket, or what leads to them."""


class TrajectoryStatus(StrEnum):
    """How an episode ended."""

    SOLVED = "solved"
    """EXIT with every test passing."""
    EXITED = "exited"
    """EXIT while a test failed."""
    TURN_LIMIT = "turn_limit"
    """No EXIT within the allowed turns."""
    TRUNCATED = "truncated"
    """The context was full before EXIT."""
    ABORTED = "aborted"
    """Cut off by the system; never trained on."""


class DropReason(StrEnum):
    """Why a trajectory group or sample was not trained on."""

    STALE = "stale"
    NO_SIGNAL = "no_signal"
    ABORTED = "aborted"
    TOO_LONG = "too_long"
    NON_FINITE = "non_finite"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Completion:
    """What the engine sampled for one turn."""

    token_ids: Int32  # (n,)
    logprobs: Float32  # (n,)
    weight_versions: Int32  # (n,)
    text: str
    finish_reason: str
    """`stop` (a token that ends the line, kept in token_ids), `length`, or `abort`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turn:
    """One state, the command that answered it, and what came of it."""

    state_token_ids: Int32  # (s,) tokens appended to the context before the action
    action_token_ids: Int32  # (a,)
    rollout_logprobs: Float32  # (a,)
    weight_versions: Int32  # (a,)
    action_text: str
    """The sampled text up to the end of its line."""
    command: str | None
    """The canonical command, or None when the action did not parse."""
    error: str | None
    """Why the action was malformed or impossible, else None."""
    program: str
    """The program after this turn."""
    feedback: str
    """What the next state shows after the separator; empty when all tests pass."""
    verdict: Verdict | None
    """None when nothing was executed (the program did not change)."""
    reward: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """One episode: a task, its turns, and how it ended."""

    trajectory_id: str
    group_id: str
    sample_index: int
    task_id: str
    initial_program: str
    turns: tuple[Turn, ...]
    status: TrajectoryStatus
    solved: bool
    """Whether the final program passes every test."""
    worker: str
    seconds: float
    """Wall-clock duration of the episode."""

    @property
    def total_reward(self) -> float:
        """Undiscounted return of the episode."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def num_tokens(self) -> int:
        """Tokens of states and actions together."""
        return sum(len(t.state_token_ids) + len(t.action_token_ids) for t in self.turns)

    @property
    def oldest_version(self) -> int:
        """Lowest weight version that sampled any token; -1 when there is none."""
        versions = [int(t.weight_versions.min()) for t in self.turns if len(t.weight_versions)]
        return min(versions, default=-1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrajectoryGroup:
    """All samples of one task under one prompt: the unit of storage, leasing and baselines."""

    group_id: str
    task_id: str
    trajectories: tuple[Trajectory, ...]

    @property
    def oldest_version(self) -> int:
        """Lowest weight version of any token of the group; -1 when there is none."""
        versions = [version for t in self.trajectories if (version := t.oldest_version) >= 0]
        return min(versions, default=-1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpisodeSoFar:
    """An episode that has not ended: its turns, and the state that waits for an action."""

    trajectory: Trajectory
    """Of status ABORTED, for nobody may train on it as it is; with at least one turn."""
    next_state: Int32  # (s,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartialGroup:
    """A group that was being sampled; episodes without a turn are in neither of its parts."""

    group_id: str
    task_id: str
    ended: tuple[Trajectory, ...]
    running: tuple[EpisodeSoFar, ...]

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """All episodes that have a turn, in sample order."""
        every = (*self.ended, *(episode.trajectory for episode in self.running))
        return tuple(sorted(every, key=lambda t: t.sample_index))

    @property
    def versions(self) -> tuple[int, int] | None:
        """Lowest and highest weight version that sampled any token; None when there is none."""
        turns = [turn for t in self.trajectories for turn in t.turns]
        found = [turn.weight_versions for turn in turns if len(turn.weight_versions)]
        if not found:
            return None
        return int(min(v.min() for v in found)), int(max(v.max() for v in found))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingSample:
    """One trajectory as the learner sees it."""

    group_id: str
    token_ids: Int32  # (t,)
    loss_mask: Bool  # (t,) True on action tokens
    rollout_logprobs: Float32  # (t,) 0 where loss_mask is False
    advantages: Float32  # (t,) 0 where loss_mask is False
    weight_versions: Int32  # (t,) -1 where loss_mask is False
    turn_index: Int32  # (t,) the turn that each token belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Place of one tensor in a bucket of bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As torch prints it without the prefix: `float32`, `bfloat16`."""
    bucket: int
    """Index of the bucket that holds it."""
    offset: int
    """Of its first byte in the bucket."""
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSpec:
    """One contiguous run of bytes; tensors lie in it as the manifest says."""

    nbytes: int
    checksum: str
    """Hex BLAKE2b-128 of the bytes; empty where they never pass through the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRankSpec:
    """A weight W that counts as W + scale * up @ down; W itself stays where it is."""

    weight: str
    """Name of W, shape (out, in), in the checkpoint that the adapter was made for."""
    down: str
    """Name of the tensor of shape (rank, in) in the manifest."""
    up: str
    """Name of the tensor of shape (out, rank) in the manifest."""
    scale: float
    transposed: bool = False
    """Whether W is stored as (in, out)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """A fixed prompt and the learner's log-probabilities of its tokens."""

    token_ids: Int32  # (n,)
    logprobs: Float32  # (n - 1,) of tokens 1..n-1 given those before


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightUpdate:
    """What one version of the weights consists of, and what proves its arrival.

    The bytes travel beside it, one content per bucket.
    """

    version: int
    transport: str
    """How the bytes travel: `object_store`, `ipc` or `nccl` (`WeightSettings`)."""
    manifest: tuple[TensorSpec, ...]
    """In the order of the buckets."""
    buckets: tuple[BucketSpec, ...]
    adapter: tuple[LowRankSpec, ...]
    """Of an update that holds an adapter only; empty when it holds all weights."""
    probe: Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightReceipt:
    """A sampler's proof that it serves a version."""

    worker: str
    version: int
    max_abs_dlogp: float
    """Largest difference between sampler's and learner's probe log-probabilities."""
    pause_ms: float
    """How long generation stood still."""
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCount:
    """Trajectories dropped for one reason."""

    reason: DropReason
    trajectories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one optimizer step consumed, produced and cost."""

    step: int
    weight_version: int
    """Version after the step."""
    groups: int
    trajectories: int
    tokens: int
    """Tokens of forward and backward, padding not counted."""
    action_tokens: int
    reward_mean: float
    solve_rate: float
    num_turns: float
    pg_loss: float
    kl: float
    entropy: float
    clipfrac: float
    mismatch_kl: float
    """k3 estimate between rollout policy and learner at the rollout's weights."""
    grad_norm: float
    learning_rate: float
    staleness_mean: float
    staleness_max: int
    dropped: tuple[DropCount, ...]
    seconds_lease: float
    seconds_train: float
    skipped: bool
    """True when nothing could be trained on or no gradient was finite."""
    skipped_steps: int = 0
    """Optimizer steps since the start of the run that a non-finite loss or gradient cost."""
    no_signal_groups: int = 0
    """Groups whose advantages are all zero."""
    masked_fraction: float = 0.0
    """Action tokens on which learner and sampler disagree too much to learn from."""
    value_loss: float = 0.0
    explained_variance: float = 0.0
    """Of the critic's values before the step: 1 is perfect, 0 as good as a constant."""
    seconds_update: float = 0.0
    """Forward, backward and optimizer; the rest of `seconds_train` prepares them."""
    mfu: float | None = None
    """Model FLOPs utilisation, 0 to 1; None on a device whose peak is not known."""
