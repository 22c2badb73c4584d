"""Generalised advantage estimation: what PPO subtracts a critic's values by."""

import numpy as np

from redline.learner.advantages.returns import Float64


def gae(
    rewards: Float64,  # (n,)
    values: Float64,  # (n,) of the state before each step
    last_value: float,
    *,
    gamma: float,
    gae_lambda: float,
) -> Float64:  # (n,)
    """A_k = sum_{l >= 0} (γλ)^l δ_{k+l} with δ_k = r_k + γ V_{k+1} - V_k and V_n = `last_value`.

    Schulman et al., arXiv 1506.02438. `last_value` is 0 after an episode that ended by its own
    rules, and the critic's value of the last state where an episode was cut off (Pardo et al.,
    arXiv 1712.00378). The target of the critic is A_k + V_k. Unbiased for any critic at λ = 1 and
    for an exact one at any λ, as long as nothing was cut off or the critic is exact.
    Raises ValueError when lengths disagree.
    """
    if len(rewards) != len(values):
        raise ValueError(f"gae got {len(rewards)} rewards and {len(values)} values")
    following = np.append(values[1:], last_value)
    errors = np.asarray(rewards, np.float64) + gamma * following - values
    advantages = np.zeros(len(errors))
    running = 0.0
    for step in range(len(errors) - 1, -1, -1):
        running = errors[step] + gamma * gae_lambda * running
        advantages[step] = running
    return advantages
