"""What is left of a cloak after an attacker's processing, for a person to see."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from cloak.effect import BATTERY, noise_like
from cloak.errors import MissingModelError, UsageError
from cloak.image import ReadLimits
from cloak.perceptual import low_frequency_rms, lpips
from cloak.surrogates import Surrogate, load_surrogate, resolve_models
from cloak.views import for_models, resized, scale_for
from cloak_ui.pictures import read_shown, save_picture
from cloak_ui.tasks import AttackTask, Finished, Message, Progress

__all__ = ["ATTACKS", "attack"]

ROUND_TRIP = "autoencoder round trip"
ATTACKS = (*BATTERY, ROUND_TRIP)
_SIDE = 512  # short side at which trainers look


def attack(task: AttackTask, folder: Path, limits: ReadLimits) -> Iterator[Message]:
    """Carry out a task: the untouched pair first, then each attack, on the cloak and on noise that is as visible."""
    begin = time.monotonic()
    before, after, noise = _prepared(task, limits)
    model = _seeing_model()
    for index, name in enumerate(("", *task.attacks)):
        process = _process(name, model)
        seen = [_see(model, process(x)) for x in (before, after, noise)]
        figures = {f"{kind}/{name}": _shift(seen[0], moved) for kind, moved in (("cloak", seen[1]), ("noise", seen[2]))}
        pictures = {
            f"{kind}/{name}": save_picture(x, folder / f"{kind}-{index}.png")
            for kind, x in (("attacked", process(after)), ("seen", seen[1]), ("clean", seen[0]))
        }
        seconds = time.monotonic() - begin
        left = seconds / (index + 1) * (len(task.attacks) - index)
        yield Progress(
            "attack", index, len(task.attacks), seconds, left, pictures, facts={"model": model.name}, figures=figures
        )
    yield Finished()


def _prepared(task: AttackTask, limits: ReadLimits) -> tuple[Tensor, Tensor, Tensor]:
    """Original, cloak and noise control as trainers see them."""
    before, after = (read_shown(path, limits)[1] for path in (task.original, task.source))
    if before.shape != after.shape:
        sizes = " and ".join(f"{x.shape[-1]}x{x.shape[-2]}" for x in (before, after))
        raise UsageError(f"The two pictures have different sizes ({sizes}); give an original and its own cloak.")
    before, after = (for_models(resized(x, scale_for(x, _SIDE))) for x in (before, after))
    metric = lpips("alex")
    return before, after, noise_like(before, metric.measure(before, after), metric)


def _seeing_model() -> Surrogate:
    for name in resolve_models(["auto"]):
        model = load_surrogate(name)
        if "decode" in model.capabilities:
            return model
    raise MissingModelError("No model here can show what it sees; bring some with: cloak models pull recommended")


def _process(name: str, model: Surrogate) -> Callable[[Tensor], Tensor]:
    if name == "":
        return lambda x: x
    return BATTERY.get(name, lambda x: _see(model, x))


@torch.no_grad()
def _see(model: Surrogate, x: Tensor) -> Tensor:
    return model.see(x).float().clamp(0, 1)


def _shift(seen: Tensor, moved: Tensor) -> float:
    return float(low_frequency_rms(moved - seen))
