"""Learned perceptual distance (LPIPS) that works offline, on pictures of any size.

References:
    Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", arXiv
        1801.03924, eq. 1.
    Ghildyal & Liu 2022, "Shift-tolerant Perceptual Similarity Metric", arXiv 2207.13686.
"""

import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from cloak.perceptual.backbones import Backbone, backbone_tensors

__all__ = ["LPIPS", "lpips", "style_statistics"]

_TILE = 896


class LPIPS(nn.Module):
    """LPIPS; 0 for equal pictures, higher is more different, about [0, 1].

    Args:
        name: what figures call it; values of different backbones are not comparable.
        backbone: a key of `BACKBONES`.
        tensors: of the backbone and of the linear layers on its taps.

    Shape:
        - Input: two pictures (B, 3, H, W) in [0, 1], of equal shape.
        - Output: (B,).
    """

    def __init__(self, name: str, *, backbone: str, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.name = name
        self.backbone = Backbone(backbone, tensors)
        self.weights = nn.ParameterList(
            nn.Parameter(tensors[f"lin{i}.model.1.weight"][0], requires_grad=False) for i in range(5)
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self._compare(self._taps(x), self._taps(y))

    def _taps(self, x: Tensor) -> list[Tensor]:
        return [_unit_length(tap) for tap in self.backbone(x)]

    def _compare(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        layers = zip(first, second, self.weights, strict=True)
        return torch.stack([(weight * (a - b) ** 2).sum(1).mean((1, 2)) for a, b, weight in layers]).sum(0)  # (B,)

    def from_original(self, x: Tensor) -> Callable[[Tensor], float]:
        """Distance of single pictures from the picture `x`, of any size and in bounded memory.

        The distance is the area-weighted mean over tiles; the original's features are kept where they fit in memory.

        Shape:
            - Input: (1, 3, H, W) in [0, 1], here and in the returned function.
        """
        tiles = list(_tiles(x.shape[-2], x.shape[-1]))
        kept = [self._taps(x)] if len(tiles) == 1 else None

        @torch.no_grad()
        def measure(y: Tensor) -> float:
            total = area = 0.0
            for rows, columns in tiles:
                before, after = x[..., rows, columns], y[..., rows, columns]
                weight = before.shape[-1] * before.shape[-2]
                if not torch.equal(before, after):
                    reference = kept[0] if kept else self._taps(before)
                    total += weight * float(self._compare(reference, self._taps(after)))
                area += weight
            return total / area

        return measure

    def measure(self, x: Tensor, y: Tensor) -> float:
        """Distance of two single pictures of any size."""
        return self.from_original(x)(y)


@functools.cache
def lpips(backbone: str = "alex") -> LPIPS:
    """The shared instance of shift-tolerant LPIPS, on the CPU.

    Args:
        backbone: "alex" (quick, the budget's) or "vgg".
    """
    return LPIPS(f"st-lpips-{backbone}", backbone=backbone, tensors=backbone_tensors(backbone))


def style_statistics(taps: list[Tensor]) -> list[Tensor]:
    """Channel means and standard deviations of feature maps: what style is, in AdaIN's sense.

    Shape:
        - Output: one (B, 2 C_i) per tap.

    References:
        Huang & Belongie 2017, arXiv 1703.06868, eq. 5-7.
    """
    return [torch.cat([t.mean((2, 3)), (t.var((2, 3), correction=0) + 1e-8).sqrt()], 1) for t in taps]


def _unit_length(features: Tensor) -> Tensor:
    return features / (features.pow(2).sum(1, keepdim=True) + 1e-10).sqrt()


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Equal tiles of about `_TILE` pixels a side that cover the picture without overlap."""
    rows, columns = max(1, round(height / _TILE)), max(1, round(width / _TILE))
    for i in range(rows):
        for j in range(columns):
            yield (
                slice(height * i // rows, height * (i + 1) // rows),
                slice(width * j // columns, width * (j + 1) // columns),
            )
