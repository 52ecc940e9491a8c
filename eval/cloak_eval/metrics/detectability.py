"""Whether somebody who has learnt the tool can tell cloaked pictures from clean ones.

The row of a published picture says how it stands among the artist's clean pictures, so that the mean over the rows is
what is asked for. Its interval is about the published pictures; the clean ones are taken as they are.

References:
    Foerster et al. 2025, "LightShed", USENIX Security (detection before removal); Fawcett 2006, "An introduction to
    ROC analysis", section 7 (the area as a probability of order).
"""

import torch
from torch import Tensor

from cloak.errors import UsageError
from cloak_eval.metrics.base import METRICS, Evidence, Metric

__all__ = ["Detectability", "DetectionRate"]

_FALSE_POSITIVES = 0.05


def _suspicions(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Of the published pictures and of all clean ones, float64."""
    judged = evidence.suspicion
    if judged is None:
        raise UsageError("Detectability needs a detector that has learnt from pairs of pictures.")
    sets = (evidence.published, [*evidence.originals, *evidence.others])
    published, clean = (torch.tensor([judged(each) for each in some], dtype=torch.float64) for some in sets)
    return published, clean


@METRICS.register(
    "detectability",
    summary="area under the curve of a detector trained on the tool; 0.5 cannot be told from clean pictures",
    reference="Foerster et al. 2025, LightShed, USENIX Security",
    higher_is_better=False,
    value_range=(0.0, 1.0),
)
class Detectability(Metric):
    """Share of clean pictures that look less cloaked than the published one; equal ones count half."""

    backbone, of_pictures = "detector trained on pairs", True

    def samples(self, evidence: Evidence) -> Tensor:
        published, clean = _suspicions(evidence)
        below, equal = published[:, None] > clean, published[:, None] == clean
        return (below.double() + equal.double() / 2).mean(1)


@METRICS.register(
    "detection-rate",
    summary="share of published pictures found by a detector that is wrong on 5 % of the clean ones",
    reference="Foerster et al. 2025, LightShed, USENIX Security",
    higher_is_better=False,
    value_range=(0.0, 1.0),
)
class DetectionRate(Metric):
    """With 20 clean pictures the threshold lies beside the most suspicious of them, so it is coarse."""

    backbone, of_pictures = "detector trained on pairs", True

    def samples(self, evidence: Evidence) -> Tensor:
        published, clean = _suspicions(evidence)
        return (published > torch.quantile(clean, 1 - _FALSE_POSITIVES)).double()
