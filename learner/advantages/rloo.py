"""RLOO: the baseline of a trajectory is the mean return of the others."""

from redline.learner.advantages.returns import Float64, Rewards, credited_returns, totals


def rloo(rewards: Rewards, credit: str = "reward_to_go") -> list[Float64]:
    """A_{i,t} = G_{i,t} - mean_{j != i} R_j.

    Leave-one-out baseline (Kool et al. 2019; Ahmadian et al., arXiv 2402.14740); unbiased. A single
    trajectory has no baseline, which is a ValueError.
    """
    returns = totals(rewards)
    if len(returns) < 2:
        raise ValueError(f"rloo got a group of {len(returns)} trajectories, expected at least 2")
    others = (returns.sum() - returns) / (len(returns) - 1)
    return [g - b for g, b in zip(credited_returns(rewards, credit), others, strict=True)]
