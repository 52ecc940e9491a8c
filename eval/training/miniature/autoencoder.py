"""Train the miniature's autoencoder: AutoencoderKL, f8, 4 latent channels, normalised in every block.

    python -m training.miniature.autoencoder --data DIR --work DIR --minutes 50

Crops of 64 px for the first part, of 128 px for the rest; the learning rate falls to zero at the end of the minutes.
On a GPU: `--device cuda --batch 128 --workers 8`. A stopped run goes on from its state, which is saved every five
minutes; `vae/` in the work folder holds the weights.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL  # noqa: TID253
from torch import Tensor

from training.miniature.crops import CropSampler, batches
from training.optimisation import Optimiser, add_training_options, channels_last, sampling_seed, train

ARCHITECTURE = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (32, 64, 128, 128),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,  # 4 to 16 channels in each, as in Stable Diffusion
    "sample_size": 128,
}
STAGES = ((0.25, 64), (1.0, 128))  # until this share of the training: side of the crops
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


def loss_of(model: AutoencoderKL, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Absolute and squared error in [0, 1] units of the sampled reconstruction, and a little KL."""
    with torch.autocast(x.device.type, torch.bfloat16):
        posterior = model.encode(channels_last(2 * x - 1)).latent_dist
        y = model.decode(channels_last(posterior.sample())).sample
    error = (y.float() + 1) / 2 - x
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    absolute, squared = error.abs().mean(), error.square().mean()
    report = {"l1": absolute.detach(), "mse": squared.detach(), "kl": kl.detach()}
    return absolute + 5 * squared + KL_WEIGHT * kl, report


def scaled(vae: AutoencoderKL, mean: Tensor, deviation: Tensor) -> float:
    """The factor that gives sampled latents unit variance; also noted in the autoencoder's configuration."""
    factor = float((mean.var() + deviation.square().mean()).rsqrt())
    vae.register_to_config(scaling_factor=round(factor, 5))
    return float(vae.config.scaling_factor)


class AutoencoderRun:
    """The autoencoder, its optimiser and one training step."""

    def __init__(self, sampler: CropSampler, options: argparse.Namespace) -> None:
        self.sampler, self.options = sampler, options
        self.model = new_model(options.start).to(options.device)
        self.models = {"vae": self.model}
        self.optimiser = Optimiser([self.model], rate=options.rate)
        self.size, self.crops = 0, iter(())

    def _batch(self, size: int) -> Tensor:
        """As many pixels whatever the size."""
        if size != self.size:
            count = self.options.batch * 128**2 // size**2
            self.size, self.crops = size, batches(self.sampler, count, size, workers=self.options.workers)
        return next(self.crops).to(self.options.device, non_blocking=True).float() / 255

    def step(self, *, done: float) -> dict[str, Tensor]:
        loss, report = loss_of(self.model, self._batch(next(size for until, size in STAGES if done < until)))
        loss.backward()
        self.optimiser.step(done=done)
        return report

    @torch.no_grad()
    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        x = self.sampler.batch(SCALED_ON, 128).to(self.options.device).float() / 255
        latent = self.model.encode(channels_last(2 * x - 1)).latent_dist
        scaled(self.model, latent.mean, latent.std)
        self.model.save_pretrained(work / "vae")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that data.py wrote")
    parser.add_argument("--art-share", type=float, default=0.6, help="share of crops that are art")
    parser.add_argument("--batch", type=int, default=2, help="crops of 128 px a step, or four times as many of 64 px")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops")
    add_training_options(parser, minutes=50, rate=0.015)
    options = parser.parse_args()
    seed = sampling_seed(options)
    sampler = CropSampler(options.data, art_share=options.art_share, seed=seed)
    train(AutoencoderRun(sampler, options), options.work, minutes=options.minutes, device=options.device)


if __name__ == "__main__":
    main()
