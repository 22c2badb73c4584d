"""GRPO: whole returns, centred and scaled within the group."""

import numpy as np

from redline.learner.advantages.returns import EPSILON, Float64, Rewards, credited_returns, totals


def grpo(rewards: Rewards, credit: str = "reward_to_go") -> list[Float64]:
    """A_{i,t} = (G_{i,t} - mean_j R_j) / (std_j R_j + ε).

    The group baseline of DeepSeekMath (Shao et al., arXiv 2402.03300) on whole returns, with the
    credit of each turn. The baseline is the same at every turn, so the choice when to stop does
    not bias it; dividing by the group's own standard deviation does, towards tasks whose returns
    vary little. Zero for a group without a difference in return, whose standard deviation has no
    meaning.
    """
    returns = totals(rewards)
    spread = returns.std()
    if spread < EPSILON:
        return [np.zeros(len(r)) for r in rewards]
    return [(g - returns.mean()) / (spread + EPSILON) for g in credited_returns(rewards, credit)]
