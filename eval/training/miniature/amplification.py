"""How much more of a change a model sees than people do: attacks on it beside noise of the same visibility."""

import statistics
from typing import Any

import torch
from torch import Tensor

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf
from cloak.effect import noise_like
from cloak.objectives import DecodedUntargeted, EncoderUntargeted
from cloak.perceptual import low_frequency_rms, lpips
from cloak.surrogates import Surrogate, load_surrogate

EPSILON = 6 / 255
OBJECTIVES = {"through_decoder": DecodedUntargeted, "latent": EncoderUntargeted}


def amplification(model: str, originals: list[Tensor], steps: int) -> dict[str, Any]:
    """Medians over the originals (1, 3, H, W) of each attack within 6/255, and of its noise control.

    `seen` is the low-frequency RMS of the change of decode(encode(x)), `visible` that of the change of x itself, and
    `amplification` the first over the second; `times_noise` is `seen` over what noise of equal LPIPS causes.
    """
    surrogate = load_surrogate(model)
    result: dict[str, Any] = {"pictures": len(originals), "epsilon": round(EPSILON, 5), "steps": steps}
    for name, objective in OBJECTIVES.items():
        rows = []
        for index, x in enumerate(originals):
            generator = torch.Generator().manual_seed(index)
            attack = PGD(Linf(EPSILON), config=PGDConfig(steps=steps), generator=generator)
            rows.append(_compare(surrogate, x, attack(x, objective(surrogate, x))))
        result[name] = {key: round(statistics.median(row[key] for row in rows), 5) for key in rows[0]}
    return result


@torch.no_grad()
def _compare(surrogate: Surrogate, x: Tensor, moved: Tensor) -> dict[str, float]:
    distance = lpips().from_original(x)
    visibility = distance(moved)
    noisy, seen = noise_like(x, visibility, distance), surrogate.see(x)
    change, change_noise = (float(low_frequency_rms(surrogate.see(y) - seen)) for y in (moved, noisy))
    visible, visible_noise = (float(low_frequency_rms(y - x)) for y in (moved, noisy))
    return {
        "seen": change,
        "seen_noise": change_noise,
        "times_noise": change / max(change_noise, 1e-9),
        "visible": visible,
        "amplification": change / max(visible, 1e-9),
        "amplification_noise": change_noise / max(visible_noise, 1e-9),
        "lpips": visibility,
    }
