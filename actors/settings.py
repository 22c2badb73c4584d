"""Settings of the rollout side, composed into the run configuration by `redline.cluster.config`."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class SamplingSettings:
    """How commands are sampled."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Probability mass that tokens are drawn from; 1 means all of it."""
    max_command_tokens: int = 64
    """Tokens after which a command is cut."""
    grammar: bool = False
    """Whether commands are drawn under the grammar of the editor: none is malformed, and one that
    is cut at `max_command_tokens` is closed."""
    seed: int | None = None
    """Seed of the draws; null derives one from the run's."""


@dataclass(kw_only=True)
class AnswerSettings:
    """Budgets of an attempt that writes the whole program at once."""

    answer_tokens: int = 512
    """Tokens of the program."""
    thinking_tokens: int = 0
    """Tokens of free text before it, as far as the context has room; 0 answers directly."""
    request: str = ""
    """What is asked instead, such as the task with worked examples; empty shows the broken program
    and what its tests say."""


@dataclass(kw_only=True)
class EngineSettings:
    """What the vLLM engine of each sampler is started with."""

    dtype: str = "auto"
    """Type of weights and cache; `auto` is the model's own."""
    max_model_len: int = 2048
    """Tokens of the longest episode, prompt included."""
    max_num_seqs: int = 256
    """Sequences that are computed at once."""
    kv_cache_gib: float = 1.0
    """Size of the KV cache on CPU engines."""
    gpu_memory_utilization: float = 0.85
    """Share of GPU memory on CUDA engines."""
    enforce_eager: bool = False
    """Leave compilation out: a quicker start, slower sampling."""
    omp_threads: int = 1
    """OpenMP threads of a CPU engine."""
    tensor_parallel_size: int = 1
    """GPUs that one engine is spread over."""
    stats: bool = True
    """Whether the engine counts requests, cache hits and more for docs/metrics.md; costs a little
    time at each of its steps."""
    keep_kv_cache: bool = False
    """Whether episodes that run during a weight push keep the keys and values of their contexts.

    Off, every running context is computed anew with the new weights: exact, and on small models as
    much work as sampling a third of a batch. On, later tokens of these episodes attend to keys and
    values of older weights, at most as old as the episode's group; log-probabilities are always
    those that were sampled from. Groups that start after the push are exact either way."""


@dataclass(kw_only=True)
class SimulationSettings:
    """Samplers without a model, which play recorded episodes again."""

    source: str | None = None
    """`builtin` for the recording in the package, or the run, store or Parquet export whose
    episodes are played; null runs real engines."""
    speed: float = 1.0
    """How many times faster than recorded."""


@dataclass(kw_only=True)
class SamplerSettings:
    """One kind of samplers."""

    samplers: int = 1
    """Sampler actors, each with an engine of its own."""
    share: float = 1.0
    """Groups that such a sampler is given for each that one with share 1 is given, where there are
    several kinds: how fast it is."""
    num_cpus: float = 1.0
    """CPUs that each sampler asks Ray for."""
    num_gpus: float = 0.0
    """GPUs that each sampler asks Ray for."""
    resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources that each sampler asks for, such as `{redline_sampler: 1}`: it is placed
    on nodes that announce them."""
    concurrent_episodes: int = 128
    """Episodes that one sampler runs at once."""
    probe_tolerance: float = 1e-3
    """Largest accepted difference of probe log-probabilities after a weight push: the default is
    for float32, and more is needed where engine or learner computes in another type."""
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(kw_only=True)
class RolloutSettings(SamplerSettings):
    """The samplers and their episodes."""

    kinds: dict[str, SamplerSettings] = field(default_factory=dict)
    """Further kinds of samplers by name, such as `cpu` beside those on GPUs, each with the keys
    above and with `engine`. What a kind does not give is as here, but for `samplers` and `share`,
    which are 1, and `resources`, of which it asks for none."""
    group_size: int = 8
    """Episodes of each task, whose rewards are compared."""
    max_turns: int = 10
    """Commands that an episode may take."""
    too_old: str = "begin_again"
    """What a resumed run does with a group in flight whose tokens are too old by now:
    `begin_again` without them, or `drop` and count it."""
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    simulation: SimulationSettings = field(default_factory=SimulationSettings)
