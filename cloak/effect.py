"""What a cloak does to a model, measured beside random noise of the same visibility (DESIGN section 6)."""

import functools
import io
import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cloak.perceptual import LPIPS, low_frequency_rms, match_colours, middle_band
from cloak.surrogates import Surrogate
from cloak.targets import Target, style_distance
from cloak.transforms import Blur, Resize
from cloak.types import Battery
from cloak.views import for_models, resized, scale_for

__all__ = ["BATTERY", "Comparison", "ModelEffect", "Seen", "SizedEffect", "measure_effect", "noise_like"]

_NATIVE_LIMIT = 1.5e6  # pixels; above this the native size is not measured (a trainer never uses it)
_NOISE_SEED = 20


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Seen(_Record):
    """How far a model's view of a picture moved; [0, 1] units unless said otherwise."""

    low_frequency: float = Field(description="RMS of the change of decode(encode(x)), Gaussian sigma 3 px at 256 px.")
    after_colour_match: float = Field(
        description="The same after the attacker matched colour mean and covariance back."
    )
    texture: float = Field(description="RMS of the change in the middle band, sigma 0.8 minus 5 px at 256 px.")
    lpips: float = Field(description="Perceptual distance between the two views, at 256 px short side.")


class SizedEffect(_Record):
    """Effect at one training size."""

    short_side: int
    cloak: Seen
    noise: Seen
    times_noise: float = Field(description="cloak.low_frequency over noise.low_frequency.")
    amplification: float = Field(description="cloak.low_frequency over the low-frequency RMS of the visible change.")
    lpips: float = Field(description="Visible perceptual distance at this size; the noise has the same.")


class ModelEffect(_Record):
    """Effect on one model."""

    model: str
    sizes: list[SizedEffect] = Field(description="Empty for a model that cannot decode: what it sees is unknown.")
    latent_shift: float = Field(description="RMS movement of the latent over its standard deviation.")
    latent_shift_noise: float
    pull: float | None = Field(
        description="Latent movement along the way to the target, 1 is all of it; null without one."
    )
    pull_noise: float | None
    style_towards_target: float | None = Field(
        description="Share of the style distance to the target that what is seen has covered; negative when farther."
    )
    remains: dict[str, float] = Field(description="Share of the seen shift (or latent shift) left after processing.")


def measure_effect(
    surrogate: Surrogate,
    x: Tensor,
    cloaked: Tensor,
    *,
    metric: LPIPS,
    target: Target | None = None,
    battery: Battery = "full",
) -> ModelEffect:
    """Effect of `cloaked` against `x`, (1, 3, H, W) each, on one model; for several models, see `Comparison`."""
    return Comparison(x, cloaked, metric=metric).effect_on(surrogate, target=target, battery=battery)


class Comparison:
    """An original and its cloak at the sizes of trainers, each with its noise control; shared by all models.

    Sizes are short sides of `side` and, if asked for, the picture's own, 1024 px for a very large one. Noise of equal
    LPIPS is made at each size, so that it is as visible there as the cloak.

    Args:
        x: original, (1, 3, H, W) in [0, 1].
        cloaked: the cloaked picture, of the same shape.
        metric: what visibility is measured with.
        side: short side, in pixels, that the models are trained at.
        own_size: whether larger pictures are measured at their own size as well.
    """

    def __init__(self, x: Tensor, cloaked: Tensor, *, metric: LPIPS, side: int = 512, own_size: bool = True) -> None:
        self._x, self._cloaked, self._metric = x, cloaked, metric
        self._sides = _sides(x, side)[: None if own_size else 1]

    @functools.cached_property
    def _first(self) -> "_Pair":
        return _Pair(self._x, self._cloaked, self._sides[0], self._metric)

    @functools.cached_property
    def _larger(self) -> "list[_Pair]":
        return [_Pair(self._x, self._cloaked, side, self._metric) for side in self._sides[1:]]

    @torch.no_grad()
    def effect_on(
        self, surrogate: Surrogate, *, target: Target | None = None, battery: Battery = "full"
    ) -> ModelEffect:
        """Effect on one model.

        Args:
            surrogate: the model.
            target: style that the picture was pushed towards, if any.
            battery: how much of what remains after processing is measured, which takes most of the time: all, what
                the web does to every picture ("short": JPEG), or nothing.
        """
        decodes = "decode" in surrogate.capabilities
        with surrogate.computing_in(
            torch.float32
        ):  # rounding to bfloat16 alone looks like a third of the noise's shift
            first = _Views(surrogate, self._first)
            larger = [_Views(surrogate, pair) for pair in self._larger] if decodes else []
            sizes = [views.effect() for views in [first, *larger]] if decodes else []
            goal = None if target is None else surrogate.encode(target.at(first.pair.before.shape))
        return ModelEffect(
            model=surrogate.name,
            sizes=sizes,
            latent_shift=first.latent_shift(first.latent_after),
            latent_shift_noise=first.latent_shift(first.latent_noise),
            pull=None if goal is None else first.pull(first.latent_after, goal),
            pull_noise=None if goal is None else first.pull(first.latent_noise, goal),
            style_towards_target=first.style(target) if decodes and target else None,
            remains=first.remains(battery),
        )


def _sides(x: Tensor, side: int) -> list[int]:
    """Short sides to measure at: that of the trainers first, then the larger one."""
    short, area = min(x.shape[-2:]), x.shape[-2] * x.shape[-1]
    if short <= side:
        return [short]
    return [side, short if area <= _NATIVE_LIMIT else min(1024, short)]


class _Pair:
    """Original, cloak and control at one size."""

    def __init__(self, x: Tensor, cloaked: Tensor, side: int, metric: LPIPS) -> None:
        self.side, self.metric = side, metric
        self.before, self.after = (for_models(resized(p, scale_for(p, side))) for p in (x, cloaked))
        distance = metric.from_original(self.before)
        self.visible = distance(self.after)
        self.noise = noise_like(self.before, self.visible, distance)


class _Views:
    """One model's latents and views of a pair and its control, each computed once."""

    def __init__(self, surrogate: Surrogate, pair: _Pair) -> None:
        self.surrogate, self.pair = surrogate, pair
        self.latent, self.latent_after, self.latent_noise = (
            surrogate.encode(p) for p in (pair.before, pair.after, pair.noise)
        )
        if "decode" in surrogate.capabilities:
            self.seen, self.seen_after = (self._decode(z) for z in (self.latent, self.latent_after))

    def _decode(self, latent: Tensor) -> Tensor:
        return self.surrogate.decode(latent, (self.pair.before.shape[-2], self.pair.before.shape[-1])).to(
            self.pair.before.device
        )

    def effect(self) -> SizedEffect:
        cloak = self._moved(self.seen_after)
        noise = self._moved(self._decode(self.latent_noise))
        change = float(low_frequency_rms(self.pair.after - self.pair.before))
        return SizedEffect(
            short_side=self.pair.side,
            cloak=cloak,
            noise=noise,
            times_noise=cloak.low_frequency / max(noise.low_frequency, 1e-9),
            amplification=cloak.low_frequency / max(change, 1e-9),
            lpips=self.pair.visible,
        )

    def _moved(self, seen: Tensor) -> Seen:
        change = seen - self.seen
        return Seen(
            low_frequency=float(low_frequency_rms(change)),
            after_colour_match=float(low_frequency_rms(match_colours(seen, self.seen) - self.seen)),
            texture=float(middle_band(change).pow(2).mean().sqrt()),
            lpips=self.pair.metric.measure(
                *(resized(view.clamp(0, 1), scale_for(view, 256)) for view in (self.seen, seen))
            ),
        )

    def latent_shift(self, latent: Tensor) -> float:
        """Movement of the latent, relative to the spread of its values."""
        return float((latent - self.latent).pow(2).mean().sqrt() / self.latent.std().clamp_min(1e-6))

    def pull(self, latent: Tensor, goal: Tensor) -> float:
        """The part of the way to the target's latent that was covered."""
        way = goal - self.latent
        return float(((latent - self.latent) * way).sum() / way.pow(2).sum().clamp_min(1e-12))

    def style(self, target: Target) -> float:
        goal = target.at(self.pair.before.shape)
        start, end = (style_distance(seen.clamp(0, 1), goal) for seen in (self.seen, self.seen_after))
        return 1 - end / start

    def remains(self, battery: Battery) -> dict[str, float]:
        """Share of the shift that is left when original and cloak are processed alike."""
        if battery == "none":
            return {}
        processed = {name: change for name, change in BATTERY.items() if battery == "full" or name in _SHORT}
        if "decode" in self.surrogate.capabilities:
            whole = float(low_frequency_rms(self.seen_after - self.seen))
            if battery == "full":
                processed["autoencoder round trip"] = lambda p: self.surrogate.see(p).clamp(0, 1)
        else:
            whole = float((self.latent_after - self.latent).pow(2).mean().sqrt())
        shifts = {
            name: self._shift(change(self.pair.before), change(self.pair.after)) for name, change in processed.items()
        }
        return {name: shift / max(whole, 1e-9) for name, shift in shifts.items()}

    def _shift(self, before: Tensor, after: Tensor) -> float:
        if "decode" in self.surrogate.capabilities:
            return float(low_frequency_rms(self.surrogate.see(after) - self.surrogate.see(before)))
        return float((self.surrogate.encode(after) - self.surrogate.encode(before)).pow(2).mean().sqrt())


def noise_like(x: Tensor, visibility: float, distance: Callable[[Tensor], float]) -> Tensor:
    """The control: Gaussian noise on `x`, rounded to 8 bits, as visible as asked within 4 %.

    Args:
        x: (1, 3, H, W) in [0, 1].
        visibility: the distance from `x` that the noise shall have.
        distance: from `x`, as `LPIPS.from_original` gives it.
    """
    if visibility <= 0:
        return x
    draw = torch.randn(x.shape, generator=torch.Generator().manual_seed(_NOISE_SEED)).to(x)
    low, high, sigma, power = 0.0, 0.5, 3.5 / 255, 2.5
    earlier: tuple[float, float] | None = None
    noisy = x
    for _ in range(12):
        noisy = ((x + sigma * draw).clamp(0, 1) * 255).round() / 255
        value = max(distance(noisy), 1e-9)
        if abs(value - visibility) <= 0.04 * visibility:
            break
        low, high = (sigma, high) if value < visibility else (low, sigma)
        if earlier is not None and earlier[0] != sigma and earlier[1] != value:  # the local power law
            power = min(6.0, max(1.0, math.log(value / earlier[1]) / math.log(sigma / earlier[0])))
        earlier = (sigma, value)
        guess = sigma * (visibility / value) ** (1 / power)
        sigma = guess if low < guess < high else (low + high) / 2
    return noisy


def _jpeg(x: Tensor) -> Tensor:
    """Real JPEG at quality 75, 4:2:0, through Pillow."""
    samples = (x[0].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", quality=75)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1)[None].to(x) / 255


def _half(x: Tensor) -> Tensor:
    size = tuple(max(8, side // 2) for side in x.shape[-2:])
    return Resize().apply(x, {"size": size, "mode": "bicubic"})


def _noise(x: Tensor) -> Tensor:
    return (x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).to(x)).clamp(0, 1)


BATTERY: dict[str, Callable[[Tensor], Tensor]] = {
    "jpeg 75": _jpeg,
    "half size and back": _half,
    "blur sigma 1": lambda x: Blur().apply(x, {"sigma": 1.0}),
    "noise sigma 0.03": _noise,
    "crop 3 px": lambda x: for_models(x[..., 3:, 3:]) if min(x.shape[-2:]) > 3 else x,
    "resize to 7/8": lambda x: for_models(resized(x, 7 / 8)),
}
"""What the certificate applies to a cloaked picture; the autoencoder's own round trip is added per model."""
_SHORT = frozenset({"jpeg 75"})
