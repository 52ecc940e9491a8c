"""What the model sees moves towards a far style, by feature statistics and colour."""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.perceptual import lpips, style_statistics
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["DecodedStyle"]

_SIDE = 256  # style statistics are compared at this short side


@OBJECTIVES.register(
    "decoded_style",
    summary="decode(encode(x)) takes on the feature statistics of a far style",
    reference="Huang & Belongie 2017, arXiv 1703.06868, eq. 12 (statistics)",
    requires=frozenset({"encode", "decode"}),
)
class DecodedStyle(Objective):
    """Distance of the decoded picture's feature statistics to the target's, relative to where it began.

    Args:
        surrogate, original, target: see `Objective`.
        backbone: feature network, "alex" or "vgg".
    """

    requires = frozenset({"encode", "decode"})
    needs_target = True

    def __init__(
        self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None, backbone: str = "alex"
    ) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        self._network = copy.deepcopy(lpips(backbone).backbone).to(original.device)  # the shared one stays on the CPU
        with torch.no_grad():
            self._goal = self._statistics(self.target.at(original.shape).to(original))
            self._start = self._distance(self._statistics(surrogate.see(original)))

    def _statistics(self, x: Tensor) -> list[Tensor]:
        scale = _SIDE / min(x.shape[-2:])
        if scale < 1:
            x = F.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)
        return style_statistics(self._network(x))

    def _distance(self, statistics: list[Tensor]) -> Tensor:
        pairs = zip(statistics, self._goal, strict=True)
        return torch.stack([((a - b) ** 2).mean(1) / (b**2).mean(1) for a, b in pairs]).mean(0)

    def __call__(self, x: Tensor) -> Tensor:
        return self._distance(self._statistics(self.surrogate.see(x))) / self._start
