"""REINFORCE++: returns normalised over the whole batch instead of each group."""

from collections.abc import Sequence

import numpy as np

from redline.learner.advantages.normalizing import normalized
from redline.learner.advantages.returns import Float64, Rewards, credited_returns


def reinforce_pp(
    groups: Sequence[Rewards],
    action_tokens: Sequence[Sequence[Sequence[int]]],
    credit: str = "reward_to_go",
) -> list[list[Float64]]:
    """A_{i,t} = (G_{i,t} - mean G) / (std G + ε), over all action tokens of all groups of the step.

    Hu et al., arXiv 2501.03262; `action_tokens` has the number of tokens of every turn, so a turn
    counts as often as it has tokens. Biased, by an amount that vanishes as the batch grows: a
    trajectory is part of its own baseline and scale, and longer trajectories weigh more in both.
    Its penalty on the distance to the reference is the setting `kl_in` = `reward` with `k1`. All
    zero when all returns agree.
    """
    returns = [credited_returns(rewards, credit) for rewards in groups]
    counts = [np.asarray(n, dtype=np.float64) for group in action_tokens for n in group]
    scaled = iter(normalized([g for group in returns for g in group], counts))
    return [[next(scaled) for _ in group] for group in returns]
