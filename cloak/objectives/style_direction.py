"""The direction from a picture's content to its style, in an image encoder's space, is turned away."""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional as F

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["StyleDirection"]


@OBJECTIVES.register(
    "style_direction",
    summary="the picture's style direction, from its blurred grey version, is turned away",
    reference="SITA 2025, IEEE TIFS",
    licence="MIT",
    requires=frozenset({"embed_image"}),
)
class StyleDirection(Objective):
    """cos(f(x0) - f(c), f(x) - f(c)), where c, the blurred grey original, stands for content without style."""

    requires = frozenset({"embed_image"})

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        grey = original.mean(1, keepdim=True).expand_as(original)
        size = min(9, 2 * (min(original.shape[-2:]) // 2) - 1)
        with torch.no_grad():
            self._content = surrogate.embed_image(gaussian_blur2d(grey, (size, size), (2.0, 2.0)))
            self._style = surrogate.embed_image(original) - self._content

    def __call__(self, x: Tensor) -> Tensor:
        now = self.surrogate.embed_image(x) - self._content
        return F.cosine_similarity(self._style, now, dim=-1).to(x.device)
