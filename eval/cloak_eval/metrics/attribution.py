"""Whose style came out, according to the held-out classifier."""

from torch import Tensor

from cloak_eval.metrics.base import METRICS, Evidence, Metric
from cloak_eval.metrics.features import FEATURES

__all__ = ["ProtectionSuccess", "StyleProbability"]


@METRICS.register(
    "protection-success",
    summary="share of drawings that the classifier does not attribute to the artist",
    higher_is_better=True,
    value_range=(0.0, 1.0),
    extra="eval",
)
class ProtectionSuccess(Metric):
    """1 for each drawing whose most likely artist is another one."""

    backbone = FEATURES

    def samples(self, evidence: Evidence) -> Tensor:
        return 1 - evidence.judge.attributed(evidence.output_features, evidence.artist)


@METRICS.register(
    "style-probability",
    summary="probability that the classifier gives the artist, mean over the drawings",
    higher_is_better=False,
    value_range=(0.0, 1.0),
    extra="eval",
)
class StyleProbability(Metric):
    """Softer than attribution: it moves before the answer changes."""

    backbone = FEATURES

    def samples(self, evidence: Evidence) -> Tensor:
        judge = evidence.judge
        return judge.probabilities(evidence.output_features)[:, judge.index(evidence.artist)]
