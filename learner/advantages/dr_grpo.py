"""Dr. GRPO: centred within the group, not scaled."""

from redline.learner.advantages.returns import Float64, Rewards, credited_returns, totals


def dr_grpo(rewards: Rewards, credit: str = "reward_to_go") -> list[Float64]:
    """A_{i,t} = G_{i,t} - mean_j R_j.

    GRPO without division by the standard deviation (Liu et al., arXiv 2503.20783). Its expectation
    is the policy gradient up to the factor (N - 1) / N, because a trajectory is part of its own
    baseline. Goes with the aggregation `constant`.
    """
    mean = totals(rewards).mean()
    return [g - mean for g in credited_returns(rewards, credit)]
