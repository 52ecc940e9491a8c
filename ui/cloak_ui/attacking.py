"""What is left of a cloak after an attacker's processing, for a person to see."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.cli import engine
from cloak.effect import BATTERY, noise_like
from cloak.errors import MissingModelError, UsageError
from cloak.image import ReadLimits
from cloak.perceptual import low_frequency_rms, lpips
from cloak.surrogates import Surrogate, load_surrogate, resolve_models
from cloak.views import for_models, resized, scale_for
from cloak_ui.extras import eval_missing
from cloak_ui.pictures import read_shown, save_picture
from cloak_ui.tasks import AttackTask, Finished, Message, Progress

__all__ = ["attack", "known_attacks"]

ROUND_TRIP = "autoencoder round trip"
_SIDE = 512  # short side at which trainers look
_SLOW = 20.0  # times what a quick attack takes, for the estimate
_GRID = 8  # pixels of a latent, along a side
Pictures = list[Tensor]  # original, cloak and noise, (1, 3, H, W) each
See = Callable[[Tensor], Tensor]


def known_attacks() -> dict[str, bool]:
    """What can be tried here, and whether it takes minutes.

    All counter-attacks but those that have to learn from many pairs first; without the evaluation package, what
    certificates measure.
    """
    if eval_missing():
        return dict.fromkeys((*BATTERY, ROUND_TRIP), False)
    return {entry.name: entry.value.slow for entry in _usable()}


def attack(task: AttackTask, folder: Path, limits: ReadLimits) -> Iterator[Message]:
    """Carry out a task: the untouched pair first, then each attack, on the cloak and on noise that is as visible.

    Figures are shares of what the untouched cloak does, "cloak/NAME" and "noise/NAME".
    """
    begin = time.monotonic()
    pictures, known = _prepared(task, limits), known_attacks()
    thief = _Thief(_seeing_model())
    efforts = [1.0, *(_SLOW if known.get(name) else 1.0 for name in task.attacks)]
    for index, name in enumerate(("", *task.attacks)):
        treated, seen, whole = thief.attack(name, pictures)
        figures = {f"cloak/{name}": _shift(seen[0], seen[1]) / whole, f"noise/{name}": _shift(seen[0], seen[2]) / whole}
        shown = {"attacked": treated[1], "seen": seen[1], "clean": seen[0]}
        files = {f"{kind}/{name}": save_picture(x, folder / f"{kind}-{index}.png") for kind, x in shown.items()}
        seconds = time.monotonic() - begin
        left = seconds * sum(efforts[index + 1 :]) / sum(efforts[: index + 1])
        facts: dict[str, str | int | bool] = {"model": thief.model.name}
        yield Progress("attack", index, len(task.attacks), seconds, left, files, facts, figures)
    yield Finished()


class _Thief:
    """Processes pictures, and looks at them through a model.

    Args:
        model: that can show what it sees.
    """

    def __init__(self, model: Surrogate) -> None:
        self.model = model
        self._see = functools.partial(_see, model)

    @functools.cached_property
    def _pipe(self) -> Any:
        """The largest model here that can draw, which purifiers clean with; frozen."""
        return _load_pipeline()

    def attack(self, name: str, pictures: Pictures) -> tuple[Pictures, Pictures, float]:
        """The processed pictures, what a model sees of them, and how far the untouched cloak moves what it sees."""
        if name in ("", ROUND_TRIP) or eval_missing():
            process = BATTERY.get(name, self._see)
            treated = [process(x) for x in pictures] if name else pictures
            return treated, [self._see(x) for x in treated], self._whole(pictures, self._see)
        counter = _countermeasures().get(name).value()
        if counter.acts_on_model:
            return self._realigned(counter, pictures)
        treated = [_as_large_as(x, counter.treat_all([x[0]], self._pipe, seed=0)[0][None]) for x in pictures]
        seen = [counter.correct(self._see(x), [x[0]]) for x in treated]
        return treated, seen, self._whole(pictures, self._see)

    def _realigned(self, counter: Any, pictures: Pictures) -> tuple[Pictures, Pictures, float]:
        """An attack that retrains the eye itself, on the cloaked picture, as the thief has no other."""
        pipe = _load_pipeline()
        pictures = [x[..., : x.shape[-2] // _GRID * _GRID, : x.shape[-1] // _GRID * _GRID] for x in pictures]
        see = functools.partial(_see_through, pipe)
        whole = self._whole(pictures, see)
        counter.prepare(pipe, [pictures[1][0]], torch.Generator().manual_seed(0))
        return pictures, [see(x) for x in pictures], whole

    @staticmethod
    def _whole(pictures: Sequence[Tensor], see: See) -> float:
        return max(_shift(see(pictures[0]), see(pictures[1])), 1e-6)


def _usable() -> Iterator[Any]:
    return (entry for entry in _countermeasures() if entry.name != "none" and not entry.value.learns)


def _countermeasures() -> Any:
    from cloak_eval.countermeasures import COUNTERMEASURES

    return COUNTERMEASURES


def _prepared(task: AttackTask, limits: ReadLimits) -> Pictures:
    """Original, cloak and noise control as trainers see them."""
    before, after = (read_shown(path, limits)[1] for path in (task.original, task.source))
    if before.shape != after.shape:
        sizes = " and ".join(f"{x.shape[-1]}x{x.shape[-2]}" for x in (before, after))
        raise UsageError(f"The two pictures have different sizes ({sizes}); give an original and its own cloak.")
    before, after = (for_models(resized(x, scale_for(x, _SIDE))) for x in (before, after))
    distance = lpips("alex").from_original(before)
    return [before, after, noise_like(before, distance(after), distance)]


def _seeing_model() -> Surrogate:
    for name in resolve_models(["auto"]):
        model = load_surrogate(name)
        if "decode" in model.capabilities:
            return model
    raise MissingModelError("No model here can show what it sees; bring some with: cloak models pull recommended")


def _load_pipeline() -> Any:
    from cloak_eval.mimics import load_pipeline

    return load_pipeline(engine.self_test().best_model())


@torch.no_grad()
def _see(model: Surrogate, x: Tensor) -> Tensor:
    return model.see(x).float().clamp(0, 1)


def _see_through(pipe: Any, x: Tensor) -> Tensor:
    from cloak_eval.mimics.pipelines import decode_latents, latent_distribution

    return decode_latents(pipe, latent_distribution(pipe, x)[0])


def _as_large_as(x: Tensor, treated: Tensor) -> Tensor:
    """What was processed at the size of `x`, as some attacks change the size."""
    if treated.shape == x.shape:
        return treated
    return F.interpolate(treated, size=x.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)


def _shift(seen: Tensor, moved: Tensor) -> float:
    return float(low_frequency_rms(moved - seen))
