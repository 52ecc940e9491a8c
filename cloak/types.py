"""The conventions that all rooms share.

Pictures are tensors of shape (B, 3, H, W), sRGB, float32, [0, 1]. Any other range is local to one surrogate, which
converts
once, inside. Perturbation sizes are in the same [0, 1] units; only the command line and the page speak of 8/255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch takes a second to import, and settings need only the literals
    from torch import Tensor

__all__ = [
    "CLOAKED_MARK",
    "Battery",
    "Device",
    "Effort",
    "FormatChoice",
    "MetadataPolicy",
    "Stage",
    "Step",
    "Strength",
    "check_picture",
]

CLOAKED_MARK = ".cloaked."
"""In the name of every result that was given none."""

Strength = Literal["subtle", "balanced", "strong"]
Effort = Literal["instant", "fast", "standard", "thorough"]
FormatChoice = Literal["keep", "png", "jpeg", "webp", "tiff"]
MetadataPolicy = Literal["keep", "strip-private", "strip"]
Battery = Literal["none", "short", "full"]  # how much of the processing is measured
Device = Literal["auto", "cpu", "cuda", "mps"]
Stage = Literal["read", "models", "prepare", "attack", "fit", "write", "verify", "done"]


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a long job; command line, page, gallery and tests consume the same stream.

    Args:
        stage: what is being done.
        index: steps of this stage finished so far.
        total: steps this stage will take, 0 when unknown.
        seconds: wall-clock time since the job began.
        eta_seconds: estimated time to the end of the job, None when unknown.
        loss: objective value of the step (lower is better protected), None outside "attack".
        distance: visibility of the perturbation in the budget's own unit, None outside "attack" and "fit".
        message: one short line for a person, may be empty.
        preview: returns the picture as it is now, (1, 3, h, w); None when there is none.
        result: the finished `cloak.Result`, only on the last step ("done").
        source: the input file, where there is one.
    """

    stage: Stage
    index: int = 0
    total: int = 0
    seconds: float = 0.0
    eta_seconds: float | None = None
    loss: float | None = None
    distance: float | None = None
    message: str = ""
    preview: Callable[[], Tensor] | None = None
    result: Any = None
    source: Path | None = None


def check_picture(x: Tensor, *, name: str = "picture") -> None:
    """Raise ValueError unless `x` is (B, 3, H, W) floating point within [0, 1]."""
    if x.ndim != 4 or x.shape[1] != 3:
        raise ValueError(f"{name} must be (B, 3, H, W), got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"{name} must be floating point in [0, 1], got {x.dtype}")
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):  # NaN is refused too
        raise ValueError(f"{name} must lie in [0, 1], got [{low:.4g}, {high:.4g}]")
