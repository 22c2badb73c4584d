"""Advantages of each turn or token from the rewards of a step.

One estimator a file, each a pure function in float64 whose docstring has its formula and source.
Notation: a group holds N trajectories of one task; trajectory i has T_i turns with rewards r_{i,t}.
G_{i,t} = sum_{s >= t} r_{i,s} is the reward-to-go and R_i = G_{i,0} the return. Under the credit
`trajectory`, G_{i,t} is R_i at every turn.
"""

from redline.learner.advantages.registry import ESTIMATORS, estimate, has_signal

__all__ = ["ESTIMATORS", "estimate", "has_signal"]
