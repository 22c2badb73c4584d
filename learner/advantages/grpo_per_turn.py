"""GRPO of Chain-of-Edits: normalised across the group at the same turn index."""

import numpy as np

from redline.learner.advantages.returns import EPSILON, Float64, Rewards, credited_returns


def grpo_per_turn(rewards: Rewards, credit: str = "reward_to_go") -> list[Float64]:
    """A_{i,t} = (G_{i,t} - mean_{j: T_j > t} G_{j,t}) / (std_{j: T_j > t} G_{j,t} + ε).

    Normalised across the group at the same turn index (Rainone et al., arXiv 2507.05065, as its
    digests describe it). Biased when the policy decides when to stop: how strongly a turn counts
    depends on how many trajectories still run at it, which is what the actions before it decide,
    and every turn is scaled by a spread of its own. Turns at which all returns agree, or which a
    single trajectory reached, get zero.
    """
    returns = credited_returns(rewards, credit)
    advantages = [np.zeros(len(g)) for g in returns]
    for turn in range(max((len(g) for g in returns), default=0)):
        running = [i for i, g in enumerate(returns) if len(g) > turn]
        values = np.array([returns[i][turn] for i in running])
        spread = values.std()
        if spread < EPSILON:
            continue
        for i, value in zip(running, values, strict=True):
            advantages[i][turn] = (value - values.mean()) / (spread + EPSILON)
    return advantages
