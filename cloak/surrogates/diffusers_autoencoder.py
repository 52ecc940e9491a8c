"""The published autoencoders, through their diffusers classes.

Covers AutoencoderKL (Stable Diffusion 1 to 3, FLUX.1), AutoencoderKLFlux2, AutoencoderDC (Sana), AutoencoderKLQwenImage
and AutoencoderTiny (TAESD and its kin). What differs between them is read from the network's own config.
"""

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from typing_extensions import Self

from cloak.surrogates.base import Surrogate
from cloak.surrogates.latents import LatentScale, patchify, unpatchify
from cloak.surrogates.recording import recorded_outputs

__all__ = ["DiffusersAutoencoder", "from_model_range", "latent_scale", "posterior_mean", "to_model_range"]


def to_model_range(x: Tensor) -> Tensor:
    """[0, 1] to the [-1, 1] of every diffusers autoencoder."""
    return 2 * x - 1


def from_model_range(picture: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], not clamped."""
    return (picture + 1) / 2


def posterior_mean(output: Any) -> Tensor:
    """The latent in what `encode` of any diffusers autoencoder returns: the mode of a posterior, never a sample."""
    if hasattr(output, "latent_dist"):
        mean: Tensor = output.latent_dist.mode()
    else:
        mean = output.latent if hasattr(output, "latent") else output.latents
    return mean


def latent_scale(module: Any) -> LatentScale:
    """How the pipeline normalises latents: by scalars, by statistics of each channel, or by a batch norm (FLUX.2)."""
    config = module.config
    shift, factor = config.get("shift_factor") or 0.0, config.get("scaling_factor") or 1.0
    if hasattr(module, "bn"):
        variance = module.bn.running_var.float() + config.batch_norm_eps
        return LatentScale(module.bn.running_mean.float().view(1, -1, 1, 1), variance.rsqrt().view(1, -1, 1, 1))
    if config.get("latents_mean") is not None and config.get("latents_std") is not None:
        mean, deviation = (torch.tensor(config[key]).view(1, -1, 1, 1) for key in ("latents_mean", "latents_std"))
        return LatentScale(mean, factor / deviation)
    return LatentScale(torch.tensor(float(shift)), torch.tensor(float(factor)))


def _downscale(module: Any) -> int:
    config = module.config
    if "encoder_block_out_channels" in config:  # AutoencoderDC, AutoencoderTiny
        return int(2 ** (len(config.encoder_block_out_channels) - 1))
    levels = len(config.dim_mult) if "dim_mult" in config else len(config.block_out_channels)
    return int(2 ** (levels - 1) * _patch(module))


def _patch(module: Any) -> int:
    return math.isqrt(math.prod(module.config.patch_size)) if hasattr(module, "bn") else 1


def _feature_modules(encoder: nn.Module) -> list[nn.Module]:
    """The encoder's layers whose outputs close a level of resolution."""
    if not hasattr(encoder, "down_blocks"):  # AutoencoderTiny: one sequence, levels begin with a strided convolution
        layers = list(encoder.layers.children())  # type: ignore[union-attr]
        starts = [index for index, layer in enumerate(layers) if getattr(layer, "stride", (1, 1)) == (2, 2)]
        return [layers[index - 1] for index in [*starts, len(layers) - 1]]
    blocks = list(encoder.down_blocks.children())  # type: ignore[union-attr]
    if any(hasattr(block, "resample") for block in blocks):  # AutoencoderKLQwenImage: all in one list
        blocks = [block for block in blocks if hasattr(block, "resample")]
    middle = getattr(encoder, "mid_block", None)
    return [*blocks, middle] if isinstance(middle, nn.Module) else blocks


def _checkpoint_residuals(module: nn.Module, *, enabled: bool) -> None:
    """Recompute residual blocks one by one as well; diffusers' own unit, three of them, needs much more."""
    from diffusers.models.resnet import ResnetBlock2D

    for block in module.modules():
        if isinstance(block, ResnetBlock2D):
            vars(block).pop("forward", None)
            if enabled:
                vars(block)["forward"] = functools.partial(checkpoint, block.forward, use_reentrant=False)


class DiffusersAutoencoder(Surrogate):
    """Any of the diffusers autoencoders above, with its own latent scale.

    Args:
        module: the network, with its `config`.
        name: see `Surrogate`.
        family: see `Surrogate`.
    """

    def __init__(self, module: nn.Module, *, name: str, family: str) -> None:
        capabilities = frozenset({"encode", "decode"})
        super().__init__(module, name=name, family=family, downscale=_downscale(module), capabilities=capabilities)
        self.latent_scale = latent_scale(module)
        self.patch = _patch(module)
        self.is_video = "dim_mult" in module.config  # type: ignore[operator]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move the network; one whose config asks for it computes in float32 where float16 would overflow."""
        if dtype == torch.float16 and self.module.config.get("force_upcast"):  # type: ignore[union-attr, operator]
            dtype = torch.float32
        super().to(device, dtype)
        if not self.is_video and self.device.type in {"cpu", "cuda"}:
            nn.Module.to(self.module, memory_format=torch.channels_last)
        self.latent_scale = self.latent_scale.to(self.device)
        return self

    def checkpoint(self, enabled: bool = True) -> Self:
        """See `Surrogate.checkpoint`; classes of diffusers that cannot do it stay as they are."""
        module: Any = self.module
        if module._supports_gradient_checkpointing:
            module.enable_gradient_checkpointing() if enabled else module.disable_gradient_checkpointing()
            _checkpoint_residuals(module, enabled=enabled)
        return self

    def _encode(self, x: Tensor) -> Tensor:
        return self._scaled(posterior_mean(self._encoded(x)))

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        output = self._encoded(x)
        variance = getattr(getattr(output, "latent_dist", None), "logvar", None)
        return self._scaled(posterior_mean(output)), None if variance is None else self._from_layout(variance)

    def _encoded(self, x: Tensor) -> Any:
        return self.module.encode(self._to_layout(to_model_range(x).to(self.dtype)))  # type: ignore[operator]

    def _scaled(self, raw: Tensor) -> Tensor:
        return self.latent_scale.scale(patchify(self._from_layout(raw).float(), self.patch))

    def _decode(self, z: Tensor) -> Tensor:
        raw = self._to_layout(unpatchify(self.latent_scale.unscale(z), self.patch).to(self.dtype))
        if self.is_video:  # its `decode` clamps, which would stop gradients; for one frame this is the rest of it
            picture = self.module.decoder(self.module.post_quant_conv(raw))  # type: ignore[operator]
        else:
            picture = self.module.decode(raw).sample  # type: ignore[operator]
        return from_model_range(self._from_layout(picture).float())

    def _features(self, x: Tensor) -> list[Tensor]:
        with recorded_outputs(_feature_modules(self.module.encoder)) as outputs:  # type: ignore[arg-type]
            latent = self._encode(x)
        return [*map(self._from_layout, outputs), latent]

    def _to_layout(self, x: Tensor) -> Tensor:
        """One picture as a film of one frame, (B, C, 1, H, W), for the video autoencoders."""
        return x.unsqueeze(2) if self.is_video else x.contiguous(memory_format=torch.channels_last)

    def _from_layout(self, x: Tensor) -> Tensor:
        return x.squeeze(2) if self.is_video else x
