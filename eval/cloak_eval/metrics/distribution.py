"""How far the drawings as a set are from the artist's clean crops. No FID: at 50 pictures its bias is the figure.

References:
    Bińkowski et al. 2018, "Demystifying MMD GANs", arXiv 1801.01401, eq. 4 (KID, unbiased, cubic kernel).
    Jayasumana et al. 2024, "Rethinking FID", arXiv 2401.09603 (MMD with a Gaussian kernel).
    Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric", arXiv 1904.06991, eq. 1-3.
"""

import torch
from torch import Tensor

from cloak_eval.metrics.base import METRICS, Evidence, Metric
from cloak_eval.metrics.features import FEATURES

__all__ = ["KID", "MMD", "Precision", "Recall"]

_NEIGHBOURS = 3
_EQUAL = 1e-3  # distance of rows of some thousand standardised features, which are otherwise tens apart


def _unbiased(x: Tensor, y: Tensor, cross: Tensor, rows: Tensor) -> float:
    """MMD² of kernel matrices within x, within y and between them; may be slightly negative.

    Pairs of equal rows of x are left out, not only each row with itself: resampling draws rows twice, and their
    nearness would be taken for that of the drawings and push the whole interval up.
    """
    apart = torch.cdist(rows, rows) > _EQUAL
    within_x = x[apart].mean() if apart.any() else x.mean()
    within_y = (y.sum() - y.diagonal().sum()) / (len(y) * (len(y) - 1))
    return float(within_x + within_y - 2 * cross.mean())


class _SetMetric(Metric):
    """Compares feature rows with the references'."""

    backbone = FEATURES

    def samples(self, evidence: Evidence) -> Tensor:
        return evidence.standard_features[0]


@METRICS.register(
    "kid",
    summary="kernel distance (cubic) between drawings and the artist's clean crops",
    reference="Bińkowski et al. 2018, arXiv 1801.01401, eq. 4",
    higher_is_better=True,
)
class KID(_SetMetric):
    """Unbiased, so its expectation does not depend on the number of drawings. Higher: farther from the artist."""

    def statistic(self, rows: Tensor, evidence: Evidence) -> float:
        x, y = rows, evidence.standard_features[1]
        return _unbiased(_cubic(x, x), _cubic(y, y), _cubic(x, y), x)


@METRICS.register(
    "mmd",
    summary="kernel distance (Gaussian) between drawings and the artist's clean crops",
    reference="Jayasumana et al. 2024, arXiv 2401.09603, on VGG instead of CLIP features",
    higher_is_better=True,
)
class MMD(_SetMetric):
    """Gaussian kernel as wide as the references' median distance."""

    def statistic(self, rows: Tensor, evidence: Evidence) -> float:
        x, y = rows, evidence.standard_features[1]
        width = torch.pdist(y).median()
        first, second, cross = (
            torch.exp(-torch.cdist(a, b).pow(2) / (2 * width**2)) for a, b in ((x, x), (y, y), (x, y))
        )
        return _unbiased(first, second, cross, x)


def _cubic(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _radii(rows: Tensor) -> Tensor:
    """Distance of every row to its k-th neighbour among the others."""
    return torch.cdist(rows, rows).kthvalue(min(_NEIGHBOURS + 1, len(rows)), dim=1).values


@METRICS.register(
    "precision",
    summary="share of drawings within the neighbourhoods of the artist's clean crops",
    reference="Kynkäänniemi et al. 2019, arXiv 1904.06991",
    higher_is_better=False,
    value_range=(0.0, 1.0),
)
class Precision(Metric):
    """Three neighbours. Low: what was drawn does not look like the artist's work."""

    backbone = FEATURES

    def samples(self, evidence: Evidence) -> Tensor:
        x, y = evidence.standard_features
        return (torch.cdist(x, y) <= _radii(y)).any(1).double()


@METRICS.register(
    "recall",
    summary="share of the artist's clean crops within the neighbourhoods of the drawings",
    reference="Kynkäänniemi et al. 2019, arXiv 1904.06991",
    higher_is_better=False,
    value_range=(0.0, 1.0),
)
class Recall(Metric):
    """Three neighbours. Low: the mimic covers little of the artist's work.

    A few drawings that are far apart have neighbourhoods so wide that they cover anything: read it only together with
    precision, and not from fewer than 16 drawings.
    """

    backbone = FEATURES

    def samples(self, evidence: Evidence) -> Tensor:
        x, y = evidence.standard_features
        return (torch.cdist(y, x) <= _radii(x)).any(1).double()
