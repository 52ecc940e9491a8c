"""Whether a drawing looks broken, without knowing what it should be: what is left of it as noise, and its sharpness."""

import torch
from kornia.color import rgb_to_grayscale
from kornia.filters import laplacian, median_blur
from torch import Tensor

from cloak_eval.metrics.base import METRICS, Evidence, Metric

__all__ = ["OutputNoise", "OutputSharpness"]


@METRICS.register(
    "output-noise",
    summary="grain of the drawings: mean |drawing - its 3x3 median|, in [0, 1] units",
    higher_is_better=True,
    value_range=(0.0, 1.0),
)
class OutputNoise(Metric):
    """High: the mimic draws grain, as it does when it has learnt a cloak instead of a style."""

    def samples(self, evidence: Evidence) -> Tensor:
        grey = rgb_to_grayscale(evidence.outputs)
        return (grey - median_blur(grey, (3, 3))).abs().mean((1, 2, 3)).double()


@METRICS.register(
    "output-sharpness",
    summary="edges of the drawings: log10 of the variance of the Laplacian",
    reference="Pech-Pacheco et al. 2000, ICPR, variance of the Laplacian",
    higher_is_better=False,
)
class OutputSharpness(Metric):
    """Low: the mimic's drawings are blurred."""

    def samples(self, evidence: Evidence) -> Tensor:
        edges = laplacian(rgb_to_grayscale(evidence.outputs), 3, normalized=False)
        return torch.log10(edges.var((1, 2, 3)).double() + 1e-8)
