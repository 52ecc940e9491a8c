"""Train the miniature's UNet on cached latents: v-prediction, captions dropped in one of ten, averaged weights.

    python -m training.miniature.denoiser --latents DIR --work DIR --minutes 120

`unet/` in the work folder holds the averaged weights.

References:
    Rombach et al. 2022, arXiv 2112.10752 (the model); Salimans & Ho 2022, arXiv 2202.00512, section 4 (v-prediction);
    Hang et al. 2023, arXiv 2303.09556, eq. 8 (weights by signal to noise); Ho & Salimans 2022, arXiv 2207.12598.
"""

import argparse
import copy
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel  # noqa: TID253
from safetensors.torch import load_file
from torch import Tensor, nn

from training.miniature.latents import FILE
from training.optimisation import Optimiser, add_training_options, channels_last, follow, sampling_seed, train

ARCHITECTURE = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (80, 144),
    "layers_per_block": 1,
    "attention_head_dim": 4,  # the number of heads, as in Stable Diffusion 1
    "norm_num_groups": 8,
}
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
BATCH = 64
DROPPED = 0.1
LARGEST_RATIO = 5.0  # of signal to noise, beyond which a noise level gets no more weight
AVERAGE_DECAY = 0.999


def new_unet(text_width: int, start: Path | None = None) -> UNet2DConditionModel:
    if start is not None:
        model = UNet2DConditionModel.from_pretrained(start / "unet").float()
    else:
        model = UNet2DConditionModel(**ARCHITECTURE, cross_attention_dim=text_width)
    return model.to(memory_format=torch.channels_last)


def weights_of(alphas: Tensor) -> Tensor:
    """Weight of the squared error of v for cumulative alphas: min(snr, 5) / (snr + 1)."""
    ratio = alphas / (1 - alphas)
    return ratio.clamp(max=LARGEST_RATIO) / (ratio + 1)


class Steps(nn.Module):
    """How many steps the average has followed; a module so that it is saved with the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def average_decay(self) -> float:
        """Count one more; the average forgets its start quickly and then follows slowly."""
        self.count += 1
        return min(AVERAGE_DECAY, (1 + int(self.count)) / (10 + int(self.count)))


class DenoiserRun:
    """The UNet, its average, its optimiser and one training step."""

    def __init__(self, latents: Path, *, rate: float, seed: int, start: Path | None = None) -> None:
        self.tensors = load_file(latents / FILE)
        self.unet = new_unet(self.tensors["captions"].shape[-1], start)
        self.average = copy.deepcopy(self.unet).requires_grad_(False)
        self.steps = Steps()
        self.models = {"unet": self.unet, "average": self.average, "steps": self.steps}
        self.optimiser = Optimiser([self.unet], rate=rate)
        self.scheduler = DDIMScheduler(**SCHEDULE)
        self.generator = torch.Generator().manual_seed(seed)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Sampled latents (B, 4, 16, 16) and embedded captions (B, L, D), some of them the empty one."""
        rows = torch.randint(len(self.tensors["mean"]), (BATCH,), generator=self.generator)
        mean, deviation = self.tensors["mean"][rows].float(), self.tensors["deviation"][rows].float()
        z = mean + deviation * torch.randn(mean.shape, generator=self.generator)
        kept = torch.rand(BATCH, generator=self.generator) >= DROPPED
        return z, self.tensors["captions"][self.tensors["caption"][rows] * kept].float()

    def step(self, *, done: float) -> dict[str, float]:
        z, text = self._batch()
        noise = torch.randn(z.shape, generator=self.generator)
        steps = torch.randint(self.scheduler.config.num_train_timesteps, (BATCH,), generator=self.generator)
        noisy, goal = self.scheduler.add_noise(z, noise, steps), self.scheduler.get_velocity(z, noise, steps)
        with torch.autocast("cpu", torch.bfloat16):
            v = self.unet(channels_last(noisy), steps, text).sample
        error = (v.float() - goal).square().mean((1, 2, 3))
        loss = (weights_of(self.scheduler.alphas_cumprod[steps]) * error).mean()
        loss.backward()
        self.optimiser.step(done=done)
        follow(self.average, self.unet, decay=self.steps.average_decay())
        return {"loss": float(loss.detach()), "mse": float(error.detach().mean())}

    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        self.average.save_pretrained(work / "unet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=Path, required=True, help="folder that latents.py wrote")
    add_training_options(parser, minutes=120, rate=0.01)
    options = parser.parse_args()
    seed = sampling_seed(options)
    run = DenoiserRun(options.latents, rate=options.rate, seed=seed, start=options.start)
    train(run, options.work, minutes=options.minutes)


if __name__ == "__main__":
    main()
