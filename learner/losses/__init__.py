"""The objective as pure functions of per-token tensors, one idea a file.

All tensors are (n,): the n action tokens of a micro-batch. Sums are weighted by `token_weights`,
computed once for the whole step, so that micro-batches of any size add up to the same gradient.
"""

from redline.learner.losses.aggregation import token_weights
from redline.learner.losses.objective import PolicyLoss, policy_loss
from redline.learner.losses.value import value_loss

__all__ = ["PolicyLoss", "policy_loss", "token_weights", "value_loss"]
