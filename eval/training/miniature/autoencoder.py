"""Train the miniature's autoencoder: AutoencoderKL, f8, 4 latent channels, normalised in every block.

    python -m training.miniature.autoencoder --data DIR --work DIR --minutes 50

Crops of 64 px for the first part, of 128 px for the rest; the learning rate falls to zero at the end of the minutes.
A stopped run goes on from its state, which is saved every five minutes; `vae/` in the work folder holds the weights.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL  # noqa: TID253
from torch import Tensor

from training.miniature.crops import CropSampler
from training.optimisation import Optimiser, add_training_options, channels_last, sampling_seed, train

ARCHITECTURE = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (32, 64, 128, 128),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,  # more groups cost twice the time on a CPU
    "sample_size": 128,
}
STAGES = ((0.55, 64, 8), (1.0, 128, 2))  # until this share of the training: side of the crops, crops a step
SCALED_ON = 48  # crops of 128 px for the scaling factor; latents.py takes all pictures
KL_WEIGHT = 1e-4  # on the mean over latent values
FIRST_LOG_VARIANCE = -6.0  # of the posterior: at 0 its noise would drown the latent for the first hundreds of steps


def new_model(start: Path | None = None) -> AutoencoderKL:
    if start is not None:
        return AutoencoderKL.from_pretrained(start / "vae").float().to(memory_format=torch.channels_last)
    model = AutoencoderKL(**ARCHITECTURE).to(memory_format=torch.channels_last)
    with torch.no_grad():
        model.quant_conv.bias[ARCHITECTURE["latent_channels"] :] = FIRST_LOG_VARIANCE
    return model


def loss_of(model: AutoencoderKL, x: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Absolute and squared error in [0, 1] units of the sampled reconstruction, and a little KL."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = model.encode(channels_last(2 * x - 1)).latent_dist
        y = model.decode(channels_last(posterior.sample())).sample
    error = (y.float() + 1) / 2 - x
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    absolute, squared = error.abs().mean(), error.square().mean()
    report = {"l1": float(absolute.detach()), "mse": float(squared.detach()), "kl": float(kl.detach())}
    return absolute + 5 * squared + KL_WEIGHT * kl, report


def scaled(vae: AutoencoderKL, mean: Tensor, deviation: Tensor) -> float:
    """The factor that gives sampled latents unit variance; also noted in the autoencoder's configuration."""
    factor = float((mean.var() + deviation.square().mean()).rsqrt())
    vae.register_to_config(scaling_factor=round(factor, 5))
    return float(vae.config.scaling_factor)


class AutoencoderRun:
    """The autoencoder, its optimiser and one training step."""

    def __init__(self, sampler: CropSampler, *, rate: float, start: Path | None = None) -> None:
        self.sampler = sampler
        self.model = new_model(start)
        self.models = {"vae": self.model}
        self.optimiser = Optimiser([self.model], rate=rate)

    def step(self, *, done: float) -> dict[str, float]:
        size, count = next((size, count) for until, size, count in STAGES if done < until)
        loss, report = loss_of(self.model, self.sampler.batch(count, size))
        loss.backward()
        self.optimiser.step(done=done)
        return report

    @torch.no_grad()
    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        latent = self.model.encode(channels_last(2 * self.sampler.batch(SCALED_ON, 128) - 1)).latent_dist
        scaled(self.model, latent.mean, latent.std)
        self.model.save_pretrained(work / "vae")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that data.py wrote")
    parser.add_argument("--art-share", type=float, default=0.6, help="share of crops that are art")
    add_training_options(parser, minutes=50, rate=0.015)
    options = parser.parse_args()
    seed = sampling_seed(options)
    sampler = CropSampler(options.data, art_share=options.art_share, seed=seed)
    train(AutoencoderRun(sampler, rate=options.rate, start=options.start), options.work, minutes=options.minutes)


if __name__ == "__main__":
    main()
