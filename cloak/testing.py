"""Toy models and pictures, made from a seed in milliseconds, for this project's tests and for those of its users."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cloak.surrogates.tiny import TinyDecoder, TinyEncoder
from cloak.surrogates.tiny_autoencoder import TinyAutoencoder

__all__ = ["initialise", "toy_picture", "toy_surrogate", "write_toy_embedded"]

TOY_ENCODER: dict[str, Any] = {"channels": 8, "latent_channels": 4, "blocks": [1, 1, 1], "side_path": True}
TOY_DECODER: dict[str, Any] = {"channels": 8, "latent_channels": 4, "blocks": [1, 1, 1, 1], "side_path": True}


def initialise(module: nn.Module, seed: int) -> None:
    """Fill a network's parameters from a generator of its own, so that no global seed is touched."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.constant_(parameter, 1.0 if parameter.mean() == 1 else 0.0)


def _toy_networks(seed: int) -> tuple[TinyEncoder, TinyDecoder]:
    encoder, decoder = TinyEncoder(**TOY_ENCODER), TinyDecoder(**TOY_DECODER)
    initialise(encoder, seed)
    initialise(decoder, seed + 1)
    with torch.no_grad():
        last = decoder.to_picture[-2]
        last.weight.mul_(0.05)  # type: ignore[operator]
        last.bias.fill_(0.5)  # type: ignore[operator]
    return encoder, decoder


def toy_surrogate(seed: int = 0, *, name: str = "toy", decodes: bool = True) -> TinyAutoencoder:
    """A random autoencoder of eight channels that sees pictures around mid grey.

    Args:
        seed: of its weights.
        name: see `Surrogate`.
        decodes: False leaves the decoder out.
    """
    encoder, decoder = _toy_networks(seed)
    return TinyAutoencoder(encoder.levels(), decoder if decodes else None, name=name, family="toy")


def toy_picture(height: int = 64, width: int = 64, *, batch: int = 1, seed: int = 0) -> Tensor:
    """Soft random shapes with some grain, (batch, 3, height, width), [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, 4, 4, generator=generator)
    shapes = nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    grain = torch.rand(batch, 3, height, width, generator=generator) - 0.5
    return (shapes + 0.1 * grain).clamp(0, 1)


def write_toy_embedded(folder: Path, seed: int = 0) -> None:
    """Write files as the package's `embedded/` folder holds them, with random weights."""
    encoder, decoder = _toy_networks(seed)
    networks: dict[str, tuple[nn.Module, dict[str, Any]]] = {
        "flux2_encoder": (encoder, TOY_ENCODER),
        "flux2_decoder": (decoder, TOY_DECODER),
        "sd1_encoder": (encoder, TOY_ENCODER),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (network, architecture) in networks.items():
        metadata = {"architecture": json.dumps(architecture)}
        save_file(network.state_dict(), folder / f"{name}.safetensors", metadata=metadata)
