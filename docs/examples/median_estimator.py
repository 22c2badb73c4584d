"""An estimator whose baseline is the median return of a group.

redline train --config mine.yaml plugins=[median_estimator] learner.loss.estimator=median
"""

from collections.abc import Sequence

import numpy as np

from redline.learner.advantages.registry import TokenCounts
from redline.learner.advantages.returns import Float64, Rewards, credited_returns, totals
from redline.learner.registries import ESTIMATORS


def median(groups: Sequence[Rewards], _: TokenCounts, credit: str) -> list[list[Float64]]:
    """A_{i,t} = G_{i,t} - median_j R_j, one array of turns for each trajectory of each group."""
    return [
        [returns - np.median(totals(rewards)) for returns in credited_returns(rewards, credit)]
        for rewards in groups
    ]


ESTIMATORS.add("median", median)
