"""Settings of the training side.

Plain dataclasses, composed into the run configuration by `redline.cluster.config`.
"""

from dataclasses import dataclass, field

GROUP_BASELINES = ("grpo", "grpo_per_turn", "dr_grpo", "rloo")
"""Estimators whose baseline is a trajectory's group: they need two of a group."""

PACKINGS = ("auto", "shared_prefix", "packed", "padded")

SCHEDULES = ("constant", "linear", "cosine")
"""Of the learning rate; the first needs to know no end."""

ESTIMATORS = (*GROUP_BASELINES, "reinforce_pp", "gae")

LOSS_KINDS = ("clipped", "gspo", "cispo")


@dataclass(kw_only=True)
class OptimizerSettings:
    """AdamW and its schedule."""

    learning_rate: float = 1e-5
    """Peak rate."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    """Decay of AdamW's two averages."""
    eps: float = 1e-8
    """Added to the denominator of AdamW's update."""
    weight_decay: float = 0.0
    """Decoupled from the gradient."""
    warmup_steps: int = 0
    """Steps over which the rate grows linearly from nothing."""
    schedule: str = "constant"
    """What follows the warm-up: `constant`, or `linear` or `cosine` down to `final_fraction` where
    the number of steps is known (SFT)."""
    final_fraction: float = 0.05
    """Share of the learning rate that is left at the end of a decaying schedule."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0 turns it off."""


@dataclass(kw_only=True)
class LossSettings:
    """Policy-gradient objective; docs/algorithms.md has every formula."""

    estimator: str = "grpo"
    """`grpo`, `grpo_per_turn`, `dr_grpo`, `rloo`, `reinforce_pp` or `gae`; see
    `redline.learner.advantages`."""
    credit: str = "reward_to_go"
    """`reward_to_go` or `trajectory` (each turn gets the whole return); `gae` has its own."""
    signal: str = "advantage"
    """What gives a group a signal: an `advantage` that is not zero, or the `outcome`, some of it
    solved and some not (Yu et al., DAPO, arXiv 2503.14476): groups that differ in penalties alone
    then cost nothing."""
    no_signal: str = "drop"
    """Whether groups without a signal are left out of the batch (`drop`), `keep` their weight in
    its averages, or are left out and replaced by others before the step (`resample`)."""
    max_resampled: int = 16
    """Groups that a step may be topped up with under `no_signal: resample`."""
    kind: str = "clipped"
    """`clipped` (PPO), `gspo` (ratios of whole sequences) or `cispo` (clipped weights)."""
    old_policy: str = "learner"
    """Whose log-probabilities a ratio divides by: the `learner`'s before the first update on a
    batch, or the `sampler`'s, so that clipping bounds staleness too."""
    clip_low: float = 0.2
    """How far below 1 a ratio may count."""
    clip_high: float = 0.28
    """How far above 1 a ratio may count."""
    dual_clip: float = 0.0
    """Bound above 1 on the ratio where the advantage is negative; 0 turns it off."""
    kl_coef: float = 0.0
    """Weight of the estimate of KL(policy || reference)."""
    kl_estimator: str = "k3"
    """`k1`, `k2` or `k3`."""
    kl_in: str = "loss"
    """Whether the penalty is part of the `loss`, or of the `reward` of each token."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus."""
    tis_cap: float = 2.0
    """Cap of the importance weight between learner and sampler; 0 turns the correction off."""
    mismatch_low: float = 0.0
    """Tokens whose ratio between learner and sampler is below are masked; 0 means no bound."""
    mismatch_high: float = 0.0
    """Tokens whose ratio between learner and sampler is above are masked; 0 means no bound."""
    mismatch_level: str = "token"
    """Whether cap and band judge each `token`, or the geometric mean of a whole `sequence`."""
    aggregation: str = "token_mean"
    """`token_mean`, `sequence_mean` or `constant` (divided by `constant_length`)."""
    constant_length: int = 128
    """Tokens that `aggregation: constant` divides by."""


@dataclass(kw_only=True)
class CriticSettings:
    """The value function that the estimator `gae` needs."""

    kind: str = "none"
    """`none`, or `head`: a small network on the policy's last hidden state, whose gradient stops
    there."""
    level: str = "token"
    """What counts as one step of an episode: each action `token`, or each whole `turn`."""
    gamma: float = 1.0
    """Discount of one step."""
    gae_lambda: float = 1.0
    """1 leaves only the critic's baseline, which never biases; below, errors of the critic do."""
    bootstrap_turn_limit: bool = False
    """Whether an episode cut at the turn limit goes on in the critic's eyes, as one with a full
    context does; else the limit counts as its end."""
    normalize_advantages: bool = True
    """Whether advantages are shifted and scaled to mean 0 and spread 1 over the step."""
    learning_rate: float = 1e-3
    """Rate of the critic's own optimizer."""
    max_grad_norm: float = 1.0
    """Bound of the critic's gradients."""
    value_clip: float = 0.2
    """How far a value may move from the one before the step within its loss; 0 means freely."""


@dataclass(kw_only=True)
class DeepSpeedSettings:
    """Engine of the training step."""

    zero_stage: int = 0
    """What is divided among ranks: 0 nothing, 1 optimizer state, 2 gradients too, 3 weights too."""
    offload_optimizer: bool = False
    """Keep the optimizer's state in the memory of the CPU."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""


@dataclass(kw_only=True)
class LoraSettings:
    """Low-rank adapters; rank 0 trains all weights."""

    rank: int = 0
    """Rank of the adapters; 0 trains all weights."""
    alpha: float = 32.0
    """Adapters are scaled by alpha / rank."""
    dropout: float = 0.0
    """Dropout before the adapters."""
    target_modules: str = "all-linear"
    """`all-linear` (all but the output head) or names of layers, separated by commas."""


@dataclass(kw_only=True)
class LearnerSettings:
    """The learner of a training run."""

    ranks: int = 1
    """Processes that train together, each with `num_cpus` and `num_gpus` of its own."""
    num_cpus: float = 1.0
    """CPUs that each rank asks Ray for."""
    num_gpus: float = 0.0
    """GPUs that each rank asks Ray for."""
    resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources that each rank asks for, such as `{redline_learner: 1}`."""
    threads: int = 2
    """Torch threads of one rank on CPU; 0 leaves torch's default."""
    dtype: str = "float32"
    """Type of the weights: `float32` or `bfloat16`."""
    autocast: bool = False
    """Whether matrix products run in bfloat16 under float32 weights, on hardware with units for it;
    elsewhere they stay in float32."""
    packing: str = "auto"
    """`shared_prefix`: sequences lie in one row without padding, and what those of a group begin
    with (prompt and first state) is computed once; `packed`: without padding only; `padded`: for
    models whose attention is not plain causal; `auto`: the first that the policy allows."""
    groups_per_step: int = 8
    """Groups of one optimizer step."""
    micro_batch_tokens: int = 8192
    """Token budget of one forward and backward, padding counted."""
    epochs_per_batch: int = 1
    """Passes over each batch."""
    max_skipped_steps: int = 10
    """Optimizer steps in a row with a non-finite loss or gradient after which a run ends."""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    deepspeed: DeepSpeedSettings = field(default_factory=DeepSpeedSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)


@dataclass(kw_only=True)
class TinyModelSettings:
    """Shape of a Llama made from nothing, with a tokenizer trained on the demonstrations."""

    vocab_size: int = 512
    """Tokens of its tokenizer."""
    hidden_size: int = 128
    """Width."""
    intermediate_size: int = 384
    """Width of the feed-forward layers."""
    layers: int = 4
    """Transformer blocks."""
    heads: int = 4
    """Attention heads."""
    tie_embeddings: bool = True
    """Whether the output head is the embedding."""


@dataclass(kw_only=True)
class SftSettings:
    """Supervised fine-tuning on demonstrations."""

    epochs: float = 1.0
    """Passes over the demonstrations."""
    micro_batch_tokens: int = 8192
    """Token budget of one forward and backward, padding counted."""
    batch_tokens: int = 16_384
    """Tokens of one optimizer step."""
    max_seconds: float = 0.0
    """Training ends after this time with its schedule complete; 0 means no limit."""
    threads: int = 2
    """Torch threads on CPU; 0 leaves torch's default."""
    autocast: bool = True
    """Whether matrix products run in bfloat16 under float32 weights, on hardware with units for it;
    elsewhere they stay in float32."""
    heldout_fraction: float = 0.02
    """Share of the demonstrations kept for the held-out loss (at most 500)."""
    evaluate_every: int = 200
    """Optimizer steps between held-out losses."""
    solve_tasks: int = 16
    """Held-out tasks that are tried, greedily, with each held-out loss; 0 leaves it out."""
    solve_turns: int = 4
    """Commands that such an episode may take."""
    checkpoint_every: int = 500
    """Optimizer steps between checkpoints that an interrupted run resumes from; 0 writes none."""
    context: int = 2048
    """Longer demonstrations are left out, and counted."""
    lora: LoraSettings = field(default_factory=lambda: LoraSettings(rank=16))
    """Adapters, merged into the weights that are written; rank 0 trains all weights."""
    state_loss_weight: float = 0.0
    """Weight of the loss on the tool's tokens; 0 trains on command tokens only. A model made from
    nothing profits from a small value."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=2e-4, warmup_steps=50, schedule="cosine"
        )
    )
