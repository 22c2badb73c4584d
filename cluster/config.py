"""The schema of a run: one dataclass tree, composed of the settings of every room.

Nothing here imports an engine, so a configuration can be read, checked and printed anywhere.
`redline.cluster.load` merges presets, files and overrides onto this schema.
"""

from dataclasses import dataclass, field

from redline.actors.settings import RolloutSettings
from redline.dsl.settings import CorruptionSettings, PromptSettings, RewardSettings
from redline.learner.settings import LearnerSettings, SftSettings, TinyModelSettings
from redline.replay.settings import ReplaySettings, WeightSettings
from redline.sandbox.settings import SandboxSettings

TRACKERS = ("wandb", "mlflow")
"""Trackers that curves can go to; each is the name of its package."""
DEMO_POLICY = "demo_policy"
"""Name of the starting policy that comes with the package."""


@dataclass(kw_only=True)
class TaskSettings:
    """Where tasks come from: the built-in generator, or task files."""

    train_file: str | None = None
    """Tasks to train on: a task file, MBPP, HumanEvalFix or failing programs, by path, bucket URL
    or `hf:NAME`; null generates tasks. Of references alone, tasks are made by random edits."""
    heldout_file: str | None = None
    """Tasks to evaluate on, likewise."""
    train_split: str | None = None
    """Split of `train_file`; null takes all that are not for evaluation, which are refused."""
    heldout_split: str | None = None
    """Split of `heldout_file`; null takes `test` if there is one, else all."""
    strict: bool = False
    """Refuse files of which a reference fails its tests, instead of dropping such tasks."""
    train_count: int = 2000
    """Generated tasks to train on, and those made from references."""
    heldout_count: int = 400
    """Generated tasks whose reference programs are never trained on, and those made from
    references."""
    heldout_family_count: int = 112
    """Generated tasks of whole families that are never trained on."""
    edits_min: int = 1
    """Fewest faults of a generated task."""
    edits_max: int = 5
    """Most faults of a generated task."""
    families: list[str] = field(default_factory=list)
    """Families of the generated training and held-out tasks; empty means all."""
    corruption: CorruptionSettings = field(default_factory=CorruptionSettings)
    seed: int = 0
    """Seed of the generator; the seed of the run only orders the tasks."""


@dataclass(kw_only=True)
class EvalSettings:
    """The held-out evaluation before and after training."""

    tasks: int = 512
    """Held-out tasks; 0 leaves the evaluations out."""
    samples: int = 4
    """Episodes per task of the sampled arm."""
    max_turns: int = 8
    """Commands that an episode of the evaluation may take."""
    temperature: float = 1.0
    """Temperature of the sampled arm; the greedy arm has 0."""
    answer_tokens: int = 512
    """Budget of a whole program in the arms `direct` and `thinking` of `redline eval`."""
    thinking_tokens: int = 1024
    """Budget of the free text before it in the arm `thinking`, as far as the context has room."""


@dataclass(kw_only=True)
class RaySettings:
    """The Ray cluster that a run joins or starts."""

    address: str | None = None
    """Address of a running cluster; null starts a local one that ends with the run."""
    num_cpus: int | None = None
    """CPUs that a local cluster announces; null counts the machine's."""
    object_store_mib: int = 256
    """Shared memory for objects of a local cluster."""
    driver_num_cpus: float = 0.0
    """CPUs that the driver of a submitted run asks for; with neither these nor resources it runs on
    the cluster's head."""
    driver_resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources that it asks for, such as `{redline_learner: 0.01}`: a place beside the
    learner's, on nodes that see `run_root`."""


@dataclass(kw_only=True)
class MetricsSettings:
    """Who is told how a run goes, besides TensorBoard and the run's status file."""

    port: int | None = None
    """Port at which a local cluster serves its metrics to Prometheus; null serves none. A cluster
    that a run joins serves them as it was started."""
    every: float = 2.0
    """Seconds between two looks at each worker."""
    sinks: list[str] = field(default_factory=list)
    """Trackers that get the curves too: `wandb`, `mlflow`; their packages must be installed."""
    project: str = "redline"
    """W&B project or MLflow experiment."""


@dataclass(kw_only=True)
class AutoscaleSettings:
    """Whether, and how far, a run scales itself by what its learner and sandboxes wait for.

    Of several kinds of samplers, the first is scaled.
    """

    enabled: bool = False
    """Whether it does so at all."""
    samplers_min: int = 1
    """Fewest samplers."""
    samplers_max: int = 4
    """Most samplers that a load can ask for."""
    sandboxes_min: int = 1
    """Fewest sandbox actors."""
    sandboxes_max: int = 4
    """Most sandbox actors that a load can ask for."""
    learner_waiting: float = 0.1
    """Share of the learner's time that may go by waiting for groups."""
    sandbox_load: float = 2.0
    """Programs, running and queued, that each fork server may have."""
    every: float = 30.0
    """Seconds between two decisions."""
    hold: float = 300.0
    """Seconds for which no worker is taken out that was needed."""


@dataclass(kw_only=True)
class FleetSettings:
    """How samplers and sandboxes are watched and replaced."""

    heartbeat_every: float = 5.0
    """Seconds between two heartbeats of a worker; `deadlines.heartbeat` is for the answer."""
    restarts: int = 10
    """Workers of one kind that are replaced within `restart_window`; then a place stays empty, and
    the run ends when all are."""
    restart_window: float = 900.0
    """Seconds."""
    backoff: float = 1.0
    """Seconds before the first replacement; doubled for each further one within the window."""
    longest_backoff: float = 60.0
    """Most seconds before a replacement."""
    group_attempts: int = 5
    """Samplers that one group may lose before the run ends: it may be what ends them."""
    turns_every: float = 30.0
    """Seconds between two looks at the turns of groups in flight: a group whose sampler is lost
    goes on from those that were seen last."""
    autoscale: AutoscaleSettings = field(default_factory=AutoscaleSettings)


@dataclass(kw_only=True)
class DeadlineSettings:
    """Seconds after which a wait is given up, naming who kept it waiting."""

    start: float = 600.0
    """Start of one worker, its imports and compilation included."""
    group: float = 600.0
    """All episodes of one group."""
    batch: float = 900.0
    """Until enough groups for one optimizer step are stored."""
    stall: float = 120.0
    """After so long without any movement, it is told who waits for whom."""
    heartbeat: float = 60.0
    """A worker's sign of life, that of its engine included; who gives none is replaced."""
    drain: float = 600.0
    """Until a worker that leaves the fleet has finished what it has."""
    store: float = 120.0
    """One answer of the replay store."""
    step: float = 900.0
    """One optimizer step."""
    push: float = 120.0
    """Delivery and proof of new weights."""
    checkpoint: float = 300.0
    """Writing or loading one checkpoint."""
    stop: float = 12.0
    """Orderly end of all workers, before they are killed."""


@dataclass(kw_only=True)
class RunConfig:
    """Everything that decides a training run."""

    name: str
    """Name of the run and of its directory."""
    seed: int = 0
    """Seed of the order of tasks, of sampling and of the learner."""
    model: str = DEMO_POLICY
    """Folder or hub name of the starting policy; `demo_policy` is the one in the package."""
    plugins: list[str] = field(default_factory=list)
    """Modules that register tools, task sources, estimators, losses or sandbox backends; every
    process of the run imports them."""
    run_root: str = "runs"
    """Folder of run directories."""
    steps: int = 100
    """Optimizer steps."""
    max_seconds: float = 0.0
    """Time from the start of the command after which no further step is begun, so that a slow
    machine ends in time too; 0 means no limit. A resumed run has this time again."""
    max_staleness: int = 1
    """Weight versions that a trained token may be behind; 0 is fully synchronous."""
    checkpoint_every: int = 20
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept."""
    tasks: TaskSettings = field(default_factory=TaskSettings)
    prompt: PromptSettings = field(default_factory=PromptSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    eval: EvalSettings = field(default_factory=EvalSettings)
    ray: RaySettings = field(default_factory=RaySettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    deadlines: DeadlineSettings = field(default_factory=DeadlineSettings)


def is_simulated(config: RunConfig) -> bool:
    """Whether the run's samplers have no model."""
    return config.rollout.simulation.source is not None


@dataclass(kw_only=True)
class SftConfig:
    """Everything that decides a supervised warm start on demonstrations."""

    name: str
    """Name of the warm start."""
    seed: int = 0
    """Seed of the order of demonstrations and of a model made from nothing."""
    model: str | None = None
    """Folder of the model to tune; null makes one of the shape in `tiny`."""
    demonstrations: str | None = None
    """File of `redline tasks demos` (.arrow or .jsonl) to learn from; null makes demonstrations of
    `tasks.train_file`, or of built-in tasks."""
    plugins: list[str] = field(default_factory=list)
    """Modules that register task sources."""
    output: str = "policies/sft"
    """Folder that the trained policy is written to, loadable by `from_pretrained`."""
    tiny: TinyModelSettings = field(default_factory=TinyModelSettings)
    sft: SftSettings = field(default_factory=SftSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    prompt: PromptSettings = field(default_factory=PromptSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
