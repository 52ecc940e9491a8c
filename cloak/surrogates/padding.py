"""Sizes that a model cannot take as they are: the picture is continued, never resized."""

from torch import Tensor
from torch.nn import functional

__all__ = ["SMALLEST_SIDE", "check_size", "pad_to_multiple"]

SMALLEST_SIDE = 8


def check_size(x: Tensor) -> None:
    """Raise ValueError unless `x` is (B, 3, H, W) floating point with both sides at least `SMALLEST_SIDE`."""
    if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point():
        raise ValueError(f"a picture must be (B, 3, H, W) floating point, got {tuple(x.shape)} {x.dtype}")
    if min(x.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(f"a picture needs at least {SMALLEST_SIDE} pixels a side, got {tuple(x.shape[-2:])}")


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Continue a picture to the right and below until both sides are multiples of `multiple`.

    It is mirrored; a side too short to be mirrored that far repeats its last row or column instead.

    Shape:
        - Input: (B, C, H, W).
        - Output: (B, C, H', W'), the picture in the upper left corner.
    """
    height, width = x.shape[-2:]
    right, below = -width % multiple, -height % multiple
    x = _pad_side(x, (0, right, 0, 0), fits=right < width)
    return _pad_side(x, (0, 0, 0, below), fits=below < height)


def _pad_side(x: Tensor, padding: tuple[int, int, int, int], *, fits: bool) -> Tensor:
    if not any(padding):
        return x
    return functional.pad(x, padding, mode="reflect" if fits else "replicate")
