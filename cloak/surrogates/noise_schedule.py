"""How a latent diffusion model adds noise, and what its network's output says about that noise."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloak.errors import ModelError

__all__ = ["NoiseSchedule", "read_schedule"]

_SETTINGS = (
    "beta_end",
    "beta_schedule",
    "beta_start",
    "num_train_timesteps",
    "prediction_type",
    "rescale_betas_zero_snr",
    "trained_betas",
)


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """z_t = sqrt(a_t) z + sqrt(1 - a_t) noise, with a_t falling from 1 to 0.

    Args:
        kept: (T,) float32, a_t for each timestep, the share of the signal's variance that is kept.
        prediction: what the network puts out: "epsilon", "v_prediction" or "sample".

    References:
        Ho et al. 2020, arXiv 2006.11239, eq. 4; Salimans and Ho 2022, arXiv 2202.00512, appendix D (v-prediction).
    """

    kept: Tensor
    prediction: str

    @property
    def timesteps(self) -> int:
        """Number of noise levels."""
        return len(self.kept)

    def add(self, z: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """z_t of a clean latent; `z` and `noise` (B, C, h, w), `timestep` (B,) in [0, timesteps)."""
        signal, spread = self.factors(z, timestep)
        return signal * z + spread * noise

    def noise_in(self, output: Tensor, z: Tensor, timestep: Tensor) -> Tensor:
        """The noise that the network saw in z_t, from its output; all (B, C, h, w)."""
        signal, spread = self.factors(z, timestep)
        if self.prediction == "epsilon":
            return output
        if self.prediction == "v_prediction":
            return signal * output + spread * z
        return (z - signal * output) / spread

    def factors(self, z: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of latent and noise in z_t, (B, 1, 1, 1) each."""
        kept = self.kept.to(z.device)[timestep.to(z.device)].view(-1, 1, 1, 1)
        return kept.sqrt(), (1 - kept).sqrt()


def read_schedule(folder: Path) -> NoiseSchedule:
    """The schedule that scheduler_config.json in `folder` describes, whichever sampler it is meant for.

    Raises:
        ModelError: it cannot be read, or is not a schedule of this kind (flow matching, for example, is not).
    """
    from diffusers import DDPMScheduler

    path = folder / "scheduler_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        settings = {key: config[key] for key in _SETTINGS if config.get(key) is not None}
        if "beta_start" not in settings and "trained_betas" not in settings:
            raise ModelError(f"{path} describes no schedule of added noise, but {config.get('_class_name')}.")
        schedule: Any = DDPMScheduler(**settings)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ModelError(f"{path} cannot be read as a noise schedule: {error}") from error
    prediction = str(settings.get("prediction_type", "epsilon"))
    if prediction not in {"epsilon", "v_prediction", "sample"}:
        raise ModelError(f"{path} has the unknown prediction type {prediction!r}.")
    return NoiseSchedule(schedule.alphas_cumprod.to(torch.float32), prediction)
