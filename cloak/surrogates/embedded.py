"""The tiny autoencoders that ship with the package, and the published one of the same make from its folder."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cloak.errors import ModelError
from cloak.surrogates.inspection import read_header, weights_sha256
from cloak.surrogates.taef2 import Taef2Decoder, Taef2Encoder
from cloak.surrogates.tiny import TinyDecoder, TinyEncoder
from cloak.surrogates.tiny_autoencoder import TinyAutoencoder

__all__ = ["EMBEDDED_NAMES", "embedded_files", "embedded_folder", "is_taef2_folder", "load_embedded", "load_taef2"]

EMBEDDED_NAMES = ("tiny-flux2", "tiny-sd1")
_FAMILIES = {"tiny-flux2": "flux2", "tiny-sd1": "sd1"}
_FACTORS = {"tiny-flux2": 1.0, "tiny-sd1": 0.18215}  # the student of Stable Diffusion 1 works in unscaled units
_FILES = {
    "tiny-flux2": ("flux2_encoder.safetensors", "flux2_decoder.safetensors"),
    "tiny-sd1": ("sd1_encoder.safetensors",),
}
_TAEF2_FILE = "taef2.safetensors"  # as published
_TAEF2_FILES = ("taef2_encoder.safetensors", "taef2_decoder.safetensors")


def embedded_folder() -> Path:
    """Where the weights lie that ship with the package."""
    return Path(__file__).parent.parent / "embedded"


def embedded_files(name: str) -> list[Path]:
    """Weight files of an embedded model, the encoder first."""
    return [embedded_folder() / file for file in _FILES[name]]


def load_embedded(name: str) -> TinyAutoencoder:
    """An embedded autoencoder.

    Args:
        name: one of `EMBEDDED_NAMES`.

    Raises:
        ModelError: its files are missing or not what they should be.
    """
    files = embedded_files(name)
    for file in files:
        if not file.is_file():
            raise ModelError(f"The embedded model {name!r} lacks {file.name}; reinstall artcloak.")
    encoder: TinyEncoder = _build(TinyEncoder, files[0])
    decoder: TinyDecoder | None = _build(TinyDecoder, files[1]) if len(files) > 1 else None
    surrogate = TinyAutoencoder(encoder.levels(), decoder, name=name, family=_FAMILIES[name], factor=_FACTORS[name])
    surrogate.embedded, surrogate.sha256 = True, weights_sha256(files)
    return surrogate


def is_taef2_folder(folder: Path) -> bool:
    """Whether `folder` holds the published tiny autoencoder of FLUX.2, in one file or in two."""
    return (folder / _TAEF2_FILE).is_file() or all((folder / file).is_file() for file in _TAEF2_FILES)


def load_taef2(folder: Path, *, name: str = "taef2") -> TinyAutoencoder:
    """The published tiny autoencoder of FLUX.2; its latent is in the denoiser's units, before patches are made of it.

    Raises:
        ModelError: its files are not what they should be.
    """
    encoder, decoder = Taef2Encoder(), Taef2Decoder()
    if (folder / _TAEF2_FILE).is_file():
        files = [folder / _TAEF2_FILE]
        _fill(encoder, files[0], _taef2_names("encoder", shift=0))
        _fill(decoder, files[0], _taef2_names("decoder", shift=1))
    else:
        files = [folder / file for file in _TAEF2_FILES]
        _fill(encoder, files[0])
        _fill(decoder, files[1])
    layers, starts = list(encoder), [0, *(end + 1 for end in Taef2Encoder.level_ends)]
    levels = [nn.Sequential(*layers[start:stop]) for start, stop in pairwise(starts)]
    surrogate = TinyAutoencoder(levels, decoder, name=name, family="flux2")
    surrogate.sha256 = weights_sha256(files)
    return surrogate


def _taef2_names(part: str, *, shift: int) -> Callable[[str], str | None]:
    """Names in the one published file, `decoder.layers.0.weight`, to those of the networks here.

    The file numbers the decoder's layers without the clamp that comes first.
    """
    prefix = f"{part}.layers."

    def rename(stored: str) -> str | None:
        if not stored.startswith(prefix):
            return None
        number, _, rest = stored.removeprefix(prefix).partition(".")
        return f"{int(number) + shift}.{rest}"

    return rename


def _build(kind: Any, path: Path) -> Any:
    """A network as its file's metadata describes it."""
    try:
        architecture = json.loads(read_header(path).metadata["architecture"])
        with torch.device("meta"):
            module = kind(**architecture)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not say in its metadata how it is built ({error}).") from error
    return _fill(module, path)


def _fill(module: nn.Module, path: Path, rename: Callable[[str], str | None] = str) -> nn.Module:
    """Load a file's tensors; `rename` gives the module's name for each, None for one that is not the module's."""
    read_header(path)
    try:
        named = {rename(name): tensor.float() for name, tensor in load_file(path).items()}
        own = {name: tensor for name, tensor in named.items() if name is not None}
        module.load_state_dict(own, assign=True)  # the module's own tensors may be empty
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path} does not hold the weights of a {type(module).__name__}.") from error
    return module
