"""Purification with the model that will be fine-tuned: round trip, noise and denoise, image to image, IMPRESS."""

import functools
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloak.perceptual import lpips
from cloak.surrogates import Surrogate, load_surrogate
from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure
from cloak_eval.mimics.denoising import schedule_of
from cloak_eval.mimics.pipelines import embed_prompts, predict

__all__ = ["DiffPure", "FragileRoundTrip", "GridPure", "Impress", "RoundTrip", "denoised"]

_LONGEST = 512  # pixels, short side that whole pictures are reduced to before a denoiser sees them


def _sized(picture: Tensor) -> Tensor:
    """Reduced to `_LONGEST` and cut to a multiple of 16 px, which denoisers of two and more levels need."""
    scale = min(1.0, _LONGEST / min(picture.shape[-2:]))
    size = [max(16, round(scale * length) // 16 * 16) for length in picture.shape[-2:]]
    return F.interpolate(picture, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def _encode(pipe: Any, picture: Tensor) -> Tensor:
    latent: Tensor = pipe.vae.encode(2 * picture.to(pipe.vae.device) - 1).latent_dist.mode()
    return latent * float(pipe.vae.config.scaling_factor)


def _decode(pipe: Any, latent: Tensor) -> Tensor:
    picture: Tensor = pipe.vae.decode(latent.float() / float(pipe.vae.config.scaling_factor)).sample
    return (picture / 2 + 0.5).clamp(0, 1)


@torch.no_grad()
def denoised(
    pipe: Any, latent: Tensor, start: float, generator: torch.Generator, prompt: str = "", steps: int = 8
) -> Tensor:
    """Scaled latents (B, C, h, w) with noise up to a share `start` of the noise levels, and without it again.

    By DDIM (arXiv 2010.02502, eq. 12) without chance.
    """
    schedule, text = schedule_of(pipe), embed_prompts(pipe, [prompt] * len(latent))
    times = torch.linspace(start * (schedule.timesteps - 1), 0, steps + 1).round().long()
    noise = torch.randn(latent.shape, generator=generator).to(latent.device)
    z = schedule.add(latent, noise, times[:1])
    for now, following in pairwise(times):
        if now == following:
            continue
        t = now.expand(len(latent)).to(latent.device)
        seen = schedule.noise_in(predict(pipe, z.to(pipe.unet.dtype), t, text).float(), z, t)
        kept = schedule.kept[now].to(latent.device)
        clean = (z - (1 - kept).sqrt() * seen) / kept.sqrt()
        z = schedule.add(clean, seen, following[None]) if following > 0 else clean
    return z


@COUNTERMEASURES.register("autoencoder", summary="once through the model's own autoencoder", reference="deglazer, 2023")
class RoundTrip(Countermeasure):
    """decode(encode(x))."""

    @torch.no_grad()
    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return _decode(pipe, _encode(pipe, _sized(picture)))


@COUNTERMEASURES.register(
    "flux2-autoencoder",
    summary="once through the embedded FLUX.2-class autoencoder: what a model with such a latent space sees",
)
class FragileRoundTrip(Countermeasure):
    """decode(encode(x)) of a model that cloaks move more easily than the one that is fine-tuned.

    No thief would do it, it makes a cloak stronger. It answers what a mimic learns from what such a model sees, where
    no denoiser for that model is at hand.
    """

    @functools.cached_property
    def _model(self) -> Surrogate:
        return load_surrogate("tiny-flux2")

    @torch.no_grad()
    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return self._model.see(_sized(picture))


@COUNTERMEASURES.register(
    "diffpure",
    summary="noise up to a tenth of the noise levels, then denoised, in the model's latent space",
    reference="Nie et al. 2022, arXiv 2205.07460, with the attacked model's own denoiser",
)
class DiffPure(Countermeasure):
    """The original uses a pixel-space model of ImageNet; any pipeline given as the model does it here."""

    slow = True
    start: ClassVar[float] = 0.1
    prompt: ClassVar[str] = ""

    @torch.no_grad()
    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:
        latent = _encode(pipe, _sized(picture))
        return _decode(pipe, denoised(pipe, latent, self.start, generator, self.prompt))


class _Redraw(DiffPure):
    """Image to image at low strength."""

    prompt = "Denoise the image"


@COUNTERMEASURES.register(
    "redraw-0.05",
    summary="image to image, 'Denoise the image', strength 0.05",
    reference="Liang et al., off-the-shelf image-to-image, SaTML 2026",
)
class Redraw005(_Redraw):
    """Hardly changes the picture."""

    start = 0.05


@COUNTERMEASURES.register(
    "redraw-0.15",
    summary="image to image, 'Denoise the image', strength 0.15",
    reference="off-the-shelf image-to-image, SaTML 2026",
)
class Redraw015(_Redraw):
    """The strength that broke Mist."""

    start = 0.15


@COUNTERMEASURES.register(
    "redraw-0.25",
    summary="image to image, 'Denoise the image', strength 0.25",
    reference="off-the-shelf image-to-image, SaTML 2026",
)
class Redraw025(_Redraw):
    """Begins to lose detail."""

    start = 0.25


@COUNTERMEASURES.register(
    "gridpure",
    summary="tiles of 128 px, noise up to a hundredth, denoised, blended; again and again",
    reference="Zhao et al. 2024, GrIDPure, CVPR, arXiv 2312.00084",
    licence="MIT",
)
class GridPure(Countermeasure):
    """Overlapping tiles, 5 rounds, a tenth of the input blended in after each."""

    slow = True
    tile, stride, rounds, blend = 128, 64, 5, 0.1

    @torch.no_grad()
    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:
        x = _sized(picture)
        start = x
        for _ in range(self.rounds):
            total, weight = torch.zeros_like(x), torch.zeros_like(x[:, :1])
            for top in _starts(x.shape[-2], self.tile, self.stride):
                for left in _starts(x.shape[-1], self.tile, self.stride):
                    place = (..., slice(top, top + self.tile), slice(left, left + self.tile))
                    latent = denoised(pipe, _encode(pipe, x[place]), 0.01, generator, steps=1)
                    total[place] += _decode(pipe, latent).cpu()
                    weight[place] += 1
            x = (1 - self.blend) * total / weight + self.blend * start
        return x


def _starts(length: int, tile: int, stride: int) -> list[int]:
    """Where tiles begin, on the grid of 8 px, so that they cover `length`."""
    last = max(0, length - tile)
    return sorted({*range(0, last + 1, stride), last // 8 * 8, last})


@COUNTERMEASURES.register(
    "impress",
    summary="a picture nearby that the autoencoder gives back unchanged",
    reference="Cao et al. 2023, IMPRESS, arXiv 2310.19248",
)
class Impress(Countermeasure):
    """Adam, 60 steps; consistency plus a tenth of what LPIPS exceeds 0.1 by."""

    slow = True
    steps, rate, slack, weight = 60, 0.01, 0.1, 0.1

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:
        start = _sized(picture)
        x = nn.Parameter((start + 0.02 * torch.randn(start.shape, generator=generator)).clamp(0, 1))
        optimiser, metric = torch.optim.Adam([x], lr=self.rate), lpips("alex")
        distance = metric.from_original(start)
        for _ in range(self.steps):
            optimiser.zero_grad()
            loss = (_decode(pipe, _encode(pipe, x)).cpu() - x).pow(2).mean()
            if distance(x) > self.slack:  # within it the gradient is zero and not worth its cost
                loss = loss + self.weight * (metric(x, start) - self.slack).clamp_min(0).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                x.clamp_(0, 1)
        return x.detach()
