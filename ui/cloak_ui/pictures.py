"""The pictures that show what a cloak did: to the eye, to the pixels and to a model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cloak.image import PictureDocument, ReadLimits, read_picture
from cloak.surrogates import Surrogate
from cloak.views import for_models, resized, scale_for

__all__ = [
    "AMPLIFIED",
    "amplified_difference",
    "change_map",
    "detailed_part",
    "fit_to_screen",
    "read_shown",
    "save_picture",
    "seen_pair",
]

AMPLIFIED = 8  # times that the difference is shown
LONGEST_SIDE = 2000  # pixels: larger pictures are shown smaller
_SEEN_SIDE = 512
_HEAT = (1.0, 0.45, 0.05)  # colour of the map where most has changed


def read_shown(source: Path, limits: ReadLimits | None = None) -> tuple[PictureDocument, Tensor]:
    """A picture file and what it looks like, on white where it is transparent, (1, 3, H, W)."""
    document = read_picture(source, limits=limits)
    alpha = document.alpha
    return document, document.pixels if alpha is None else document.pixels * alpha + (1 - alpha)


def fit_to_screen(x: Tensor) -> Tensor:
    """At most `LONGEST_SIDE` pixels, so that a browser is not flooded."""
    return resized(x, min(1.0, LONGEST_SIDE / max(x.shape[-2:])))


def save_picture(x: Tensor, path: Path) -> Path:
    """Write (1, 3, H, W) in [0, 1]: JPEG where only a glimpse is wanted, PNG, which alters nothing, else."""
    samples = (x[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    options = {"quality": 85} if path.suffix == ".jpg" else {"compress_level": 1}
    temporary = path.with_name(f".{path.name}")
    Image.fromarray(samples).save(temporary, "JPEG" if path.suffix == ".jpg" else "PNG", **options)
    temporary.replace(path)
    return path


def amplified_difference(before: Tensor, after: Tensor) -> Tensor:
    """The change, `AMPLIFIED` times as strong, around mid grey."""
    return (0.5 + AMPLIFIED * (after - before)).clamp(0, 1)


def change_map(before: Tensor, after: Tensor) -> Tensor:
    """A dim grey copy of the picture that glows where most has changed."""
    small = resized(torch.cat([before, after]), scale_for(before, _SEEN_SIDE))
    before, after = small[:1], small[1:]
    heat = (after - before).abs().mean(1, keepdim=True)
    size = min(15, (min(heat.shape[-2:]) - 1) // 2 * 2 + 1)
    heat = F.avg_pool2d(F.pad(heat, [size // 2] * 4, mode="replicate"), size, stride=1)
    heat = (heat - heat.amin()) / (heat.amax() - heat.amin()).clamp_min(1e-6)
    grey = 0.15 + 0.45 * before.mean(1, keepdim=True)
    return torch.lerp(grey.expand(-1, 3, -1, -1), torch.tensor(_HEAT).view(1, 3, 1, 1), heat)


@torch.no_grad()
def seen_pair(surrogates: Sequence[Surrogate], before: Tensor, after: Tensor) -> tuple[str, Tensor, Tensor] | None:
    """A model's name and what it sees of two pictures at training size; None when no model can show it."""
    decoding = [surrogate for surrogate in surrogates if "decode" in surrogate.capabilities]
    if not decoding:
        return None
    model, scale = decoding[0], scale_for(before, _SEEN_SIDE)
    device = next(model.module.parameters()).device
    seen = [model.see(for_models(resized(x, scale)).to(device)).float().cpu() for x in (before, after)]
    return model.name, seen[0], seen[1]


def detailed_part(x: Tensor, side: int) -> Tensor:
    """The square part with most contrast, at most `side` pixels wide."""
    side = min(side, *x.shape[-2:])
    rows, columns = (range(0, length - side + 1, max(1, side // 2)) for length in x.shape[-2:])
    parts = [x[..., top : top + side, left : left + side] for top in rows for left in columns]
    return max(parts, key=lambda part: float(part.mean(1).std()))
