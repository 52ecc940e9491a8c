"""How visible the cloak is: the published pictures against the originals."""

import torch
from kornia.metrics import psnr, ssim
from torch import Tensor

from cloak.perceptual import delta_e_2000, lpips
from cloak_eval.metrics.base import METRICS, Evidence, Metric

__all__ = ["PSNR", "SSIM", "ChangedArea", "ColourDifference", "PairMetric", "VisibleDistance"]

_JUST_NOTICEABLE = 1.0  # CIEDE2000
_MOST_DECIBELS = 100.0  # stands for identical pictures


class PairMetric(Metric):
    """One row for each picture."""

    of_pictures = True

    def samples(self, evidence: Evidence) -> Tensor:
        pairs = zip(evidence.originals, evidence.published, strict=True)
        return torch.tensor([self.distance(x[None], y[None]) for x, y in pairs], dtype=torch.float64)

    def distance(self, x: Tensor, y: Tensor) -> float:
        """Of two pictures (1, 3, H, W) in [0, 1]."""
        raise NotImplementedError


@METRICS.register(
    "lpips",
    summary="visible perceptual distance of the cloak",
    reference="Zhang et al. 2018, arXiv 1801.03924; shift-tolerant, arXiv 2207.13686",
    higher_is_better=False,
    value_range=(0.0, 1.0),
)
class VisibleDistance(PairMetric):
    """As the budget measures it."""

    backbone = "st-lpips-alex"

    def distance(self, x: Tensor, y: Tensor) -> float:
        return lpips("alex").measure(x, y)


@METRICS.register(
    "ssim", summary="structural similarity of the cloaked pictures", higher_is_better=True, value_range=(-1.0, 1.0)
)
class SSIM(PairMetric):
    """11 px window."""

    def distance(self, x: Tensor, y: Tensor) -> float:
        return float(ssim(x, y, 11).mean())


@METRICS.register("psnr", summary="decibels; 100 for identical pictures", higher_is_better=True)
class PSNR(PairMetric):
    """Peak 1."""

    def distance(self, x: Tensor, y: Tensor) -> float:
        return _MOST_DECIBELS if torch.equal(x, y) else float(psnr(x, y, 1.0))


@METRICS.register(
    "delta-e",
    summary="mean CIEDE2000 difference; about 1 is just noticeable side by side",
    reference="Sharma, Wu & Dalal 2005",
    higher_is_better=False,
    value_range=(0.0, 100.0),
)
class ColourDifference(PairMetric):
    """Mean over the pixels."""

    def distance(self, x: Tensor, y: Tensor) -> float:
        return float(delta_e_2000(x, y).mean())


@METRICS.register(
    "changed-area",
    summary="share of pixels whose colour changed by more than CIEDE2000 1",
    higher_is_better=False,
    value_range=(0.0, 1.0),
)
class ChangedArea(PairMetric):
    """Where the change could be noticed."""

    def distance(self, x: Tensor, y: Tensor) -> float:
        return float((delta_e_2000(x, y) > _JUST_NOTICEABLE).double().mean())
