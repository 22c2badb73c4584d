"""Parts of the objective by name; no engine is needed to know the names."""

from typing import TYPE_CHECKING

from redline.dsl.registry import Registry
from redline.learner.settings import ESTIMATORS as ESTIMATOR_NAMES
from redline.learner.settings import LOSS_KINDS

if TYPE_CHECKING:
    from redline.learner.advantages.registry import StepEstimator
    from redline.learner.losses.objective import Surrogate

ESTIMATORS: "Registry[StepEstimator]" = Registry("learner.loss.estimator", ESTIMATOR_NAMES)
"""Those that need rewards only; `gae` also needs a critic's values and is built in elsewhere."""

SURROGATES: "Registry[Surrogate]" = Registry("learner.loss.kind", LOSS_KINDS)
