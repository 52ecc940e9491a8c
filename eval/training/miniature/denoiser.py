"""Train the miniature's UNet on cached latents: v-prediction, captions dropped in one of ten, averaged weights.

    python -m training.miniature.denoiser --latents DIR --work DIR --minutes 120

`unet/` in the work folder holds the averaged weights. On a GPU: `--device cuda --batch 512`.

References:
    Rombach et al. 2022, arXiv 2112.10752 (the model); Salimans & Ho 2022, arXiv 2202.00512, section 4 (v-prediction);
    Hang et al. 2023, arXiv 2303.09556, eq. 8 (weights by signal to noise); Ho & Salimans 2022, arXiv 2207.12598.
"""

import argparse
import copy
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel  # noqa: TID253
from diffusers.models.attention_processor import AttnProcessor  # noqa: TID253
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
    "dropout": 0.1,  # few pictures, seen often; off in what is exported
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
DROPPED = 0.1
LARGEST_RATIO = 5.0  # of signal to noise, beyond which a noise level gets no more weight
AVERAGE_DECAY = 0.999
CHECKED = 512  # held-out latents at most


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

    def __init__(self, options: argparse.Namespace, *, seed: int) -> None:
        tensors = {name: tensor.to(options.device) for name, tensor in load_file(options.latents / FILE).items()}
        self.latents = tensors["mean"].float(), tensors["deviation"].float()
        self.caption, self.captions = tensors["caption"], tensors["captions"].float()
        self.rows, self.test_rows = (~tensors["held_out"]).nonzero()[:, 0], tensors["held_out"].nonzero()[:CHECKED, 0]
        self.unet = new_unet(self.captions.shape[-1], options.start).to(options.device)
        if options.device == "cpu":
            self.unet.set_attn_processor(AttnProcessor())  # plain products: torch's fused attention is slow on a CPU
        self.average = copy.deepcopy(self.unet).requires_grad_(False)
        self.forward = torch.compile(self.unet) if options.compile else self.unet
        self.steps = Steps()
        self.models = {"unet": self.unet, "average": self.average, "steps": self.steps}
        self.optimiser = Optimiser([self.unet], rate=options.rate)
        self.scheduler = DDIMScheduler(**SCHEDULE)
        self.alphas = self.scheduler.alphas_cumprod.to(options.device)
        self.device, self.batch = torch.device(options.device), options.batch
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def step(self, *, done: float) -> dict[str, Tensor]:
        drawn = torch.randint(len(self.rows), (self.batch,), generator=self.generator, device=self.device)
        report = self._losses(self.forward, self.rows[drawn], self.generator, dropped=DROPPED)
        report["loss"].backward()
        self.optimiser.step(done=done)
        follow(self.average, self.unet, decay=self.steps.average_decay())
        return {name: value.detach() for name, value in report.items()}

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Losses of the averaged weights, at fixed noise, on pairs of subject and style that training does not see."""
        fixed = torch.Generator(self.device).manual_seed(0)
        report = self._losses(self.average, self.test_rows, fixed, dropped=0.0)
        return {f"held_out_{name}": float(value) for name, value in report.items()}

    def _losses(
        self, unet: nn.Module, rows: Tensor, generator: torch.Generator, *, dropped: float
    ) -> dict[str, Tensor]:
        """Weighted and plain squared error of v, for one variant of each row's latent."""
        draw = {"generator": generator, "device": self.device}
        variant = torch.randint(len(self.latents[0]), rows.shape, **draw)
        mean, deviation = (part[variant, rows] for part in self.latents)
        noise, steps = torch.randn(mean.shape, **draw), torch.randint(len(self.alphas), rows.shape, **draw)
        z = mean + deviation * torch.randn(mean.shape, **draw)
        text = self.captions[self.caption[rows] * (torch.rand(rows.shape, **draw) >= dropped)]
        noisy, goal = self.scheduler.add_noise(z, noise, steps), self.scheduler.get_velocity(z, noise, steps)
        with torch.autocast(self.device.type, torch.bfloat16):
            v = unet(channels_last(noisy), steps, text).sample
        error = (v.float() - goal).square().mean((1, 2, 3))
        return {"loss": (weights_of(self.alphas[steps]) * error).mean(), "mse": error.mean()}

    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        self.average.register_to_config(dropout=0.0)
        self.average.save_pretrained(work / "unet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=Path, required=True, help="folder that latents.py wrote")
    parser.add_argument("--batch", type=int, default=64, help="latents a step")
    parser.add_argument("--compile", action="store_true", help="a third faster, after minutes of compiling")
    add_training_options(parser, minutes=120, rate=0.01)
    options = parser.parse_args()
    run = DenoiserRun(options, seed=sampling_seed(options))
    train(run, options.work, minutes=options.minutes, device=options.device, check=run.held_out)


if __name__ == "__main__":
    main()
