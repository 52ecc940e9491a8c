"""Noise, training target and loss of a denoiser: one implementation for mimics, attacks and measurements.

A training step is

    draw = draw_noise(z.shape, schedule.timesteps, generator=generator)
    output = network(schedule.add(z, draw.noise, draw.timestep), draw.timestep, text)
    loss = training_loss(schedule, output, z, draw).mean()
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cloak.surrogates.noise_schedule import NoiseSchedule

__all__ = ["NoiseDraw", "draw_noise", "min_snr_weight", "training_loss", "training_target"]


@dataclass(frozen=True, slots=True)
class NoiseDraw:
    """What was drawn for a batch of latents.

    Args:
        timestep: (B,) int64.
        noise: (B, C, h, w) of unit variance.
    """

    timestep: Tensor
    noise: Tensor

    def to(self, device: torch.device) -> "NoiseDraw":
        """The same on `device`."""
        return NoiseDraw(self.timestep.to(device), self.noise.to(device))


def draw_noise(
    shape: Sequence[int],
    timesteps: int,
    *,
    generator: torch.Generator,
    span: tuple[float, float] = (0.0, 1.0),
    device: torch.device | str = "cpu",
) -> NoiseDraw:
    """Uniform timesteps and Gaussian noise for latents of `shape`, (B, C, h, w).

    Args:
        shape: of the latents.
        timesteps: number of noise levels of the schedule.
        generator: source of chance, on the CPU, so that every device gets the same draw.
        span: part of the noise levels that is drawn from, 0 is the least noise.
        device: where the draw is put.
    """
    low, high = int(span[0] * timesteps), max(int(span[0] * timesteps) + 1, round(span[1] * timesteps))
    timestep = torch.randint(low, high, (shape[0],), generator=generator)
    return NoiseDraw(timestep, torch.randn(tuple(shape), generator=generator)).to(torch.device(device))


def training_target(schedule: NoiseSchedule, z: Tensor, draw: NoiseDraw) -> Tensor:
    """What the network is trained to put out for a clean latent, (B, C, h, w): the noise, v, or the latent itself."""
    signal, spread = schedule.factors(z, draw.timestep)
    if schedule.prediction == "epsilon":
        return draw.noise
    return signal * draw.noise - spread * z if schedule.prediction == "v_prediction" else z


def min_snr_weight(schedule: NoiseSchedule, timestep: Tensor, *, gamma: float = 5.0) -> Tensor:
    """Weight of each timestep's loss, (B,): as if the error of the latent counted min(SNR, gamma).

    References:
        Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", arXiv 2303.09556, section 3.4.
    """
    kept = schedule.kept.to(timestep.device)[timestep]
    snr = kept / (1 - kept).clamp_min(1e-8)
    clipped = snr.clamp(max=gamma)
    if schedule.prediction == "epsilon":
        return clipped / snr.clamp_min(1e-8)
    return clipped / (snr + 1) if schedule.prediction == "v_prediction" else clipped


def training_loss(
    schedule: NoiseSchedule, output: Tensor, z: Tensor, draw: NoiseDraw, *, gamma: float | None = None
) -> Tensor:
    """Mean squared error of each latent's prediction, (B,), in float32.

    Args:
        schedule: of the model.
        output: what its network put out for the noisy latents, (B, C, h, w).
        z: the clean latents.
        draw: what was added to them.
        gamma: of min-SNR weighting; None for equal weights.
    """
    error = (output.float() - training_target(schedule, z, draw).float()).pow(2).mean((1, 2, 3))
    return error if gamma is None else error * min_snr_weight(schedule, draw.timestep, gamma=gamma)
