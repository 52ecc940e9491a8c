"""The loss that every fine-tune minimises, in the one place that knows about noise."""

from typing import Any

import torch
from torch import Tensor

from cloak.surrogates import TextEmbedding
from cloak.surrogates.noise_schedule import NoiseSchedule
from cloak_eval.mimics.pipelines import predict

__all__ = ["denoising_loss", "schedule_of"]


def schedule_of(pipe: Any) -> NoiseSchedule:
    """How the pipeline's denoiser was trained."""
    config = pipe.scheduler.config
    return NoiseSchedule(pipe.scheduler.alphas_cumprod.float(), str(config.get("prediction_type", "epsilon")))


def denoising_loss(pipe: Any, latents: Tensor, text: TextEmbedding, generator: torch.Generator) -> Tensor:
    """Mean squared error of what the denoiser predicts, at a random noise level for each latent; (B,).

    Args:
        pipe: a diffusers pipeline.
        latents: scaled, (B, C, h, w).
        text: one prompt for each latent.
        generator: on the CPU, so that every device sees the same noise.

    References:
        Ho et al. 2020, arXiv 2006.11239, eq. 14; Salimans & Ho 2022, arXiv 2202.00512, appendix D.
    """
    schedule, device = schedule_of(pipe), latents.device
    timestep = torch.randint(schedule.timesteps, (len(latents),), generator=generator).to(device)
    noise = torch.randn(latents.shape, generator=generator).to(device)
    output = predict(pipe, schedule.add(latents, noise, timestep), timestep, text)
    return (output.float() - _target(schedule, latents, noise, timestep)).pow(2).mean((1, 2, 3))


def _target(schedule: NoiseSchedule, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    if schedule.prediction == "epsilon":
        return noise
    if schedule.prediction == "sample":
        return latents
    kept = schedule.kept.to(latents.device)[timestep].view(-1, 1, 1, 1)
    return kept.sqrt() * noise - (1 - kept).sqrt() * latents
