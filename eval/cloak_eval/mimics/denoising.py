"""What every fine-tune minimises: the denoising loss of `cloak.surrogates.denoising` on a diffusers pipeline."""

from typing import Any

import torch
from torch import Tensor

from cloak.surrogates import TextEmbedding
from cloak.surrogates.denoising import draw_noise, training_loss
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
    """
    schedule = schedule_of(pipe)
    draw = draw_noise(latents.shape, schedule.timesteps, generator=generator, device=latents.device)
    output = predict(pipe, schedule.add(latents, draw.noise, draw.timestep), draw.timestep, text)
    return training_loss(schedule, output, latents, draw)
