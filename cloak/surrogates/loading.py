"""One way in: a catalogue name, a folder or a file becomes a surrogate."""

from pathlib import Path

import torch

from cloak.errors import ModelError
from cloak.surrogates.base import Surrogate
from cloak.surrogates.catalogue import CatalogueEntry, catalogue_entry
from cloak.surrogates.diffusers_loading import (
    autoencoder_folder,
    load_autoencoder_file,
    load_autoencoder_folder,
    read_config,
)
from cloak.surrogates.embedded import is_taef2_folder, load_embedded, load_taef2
from cloak.surrogates.families import latent_channels, published_config
from cloak.surrogates.pipeline import PipelineSurrogate, is_pipeline_folder
from cloak.surrogates.store import MINIATURE, looks_like_path, model_path

__all__ = ["load_surrogate"]


def load_surrogate(
    name_or_path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Surrogate:
    """Load a model that pictures can be protected against; nothing is ever downloaded.

    Args:
        name_or_path: name in the catalogue, a diffusers folder (of an autoencoder or of a pipeline), a folder with the
            files of taef2, or a single safetensors file. A pipeline folder of Stable Diffusion's layout also denoises
            and embeds text and pictures, as far as its parts are there; they are loaded when they are first needed.
        device: where it computes.
        dtype: what it computes in, e.g. `torch.bfloat16`; pictures and latents are float32 in any case.

    Raises:
        UnknownNameError: the catalogue has no such name.
        MissingModelError: it is known but not on this machine.
        ModelError: its files cannot be used.
    """
    name = str(name_or_path)
    surrogate = _load_path(Path(name).expanduser()) if looks_like_path(name) else _load_named(name)
    return surrogate.to(device, dtype)


def _load_named(name: str) -> Surrogate:
    entry = catalogue_entry(name)
    if name == MINIATURE:
        surrogate = _load_path(model_path(name), entry)
        surrogate.embedded = True
        return surrogate
    if entry.embedded:
        return load_embedded(name)
    if "encode" not in entry.capabilities:
        raise ModelError(f"The model {name!r} is no autoencoder; pictures cannot be protected against it by itself.")
    surrogate = _load_path(model_path(name), entry)
    surrogate.revision = entry.revision
    return surrogate


def _load_path(path: Path, entry: CatalogueEntry | None = None) -> Surrogate:
    name = entry.name if entry else path.stem if path.is_file() else path.resolve().name
    if not path.exists():
        raise ModelError(
            f"There is no model at {path}; give a folder, a .safetensors file or a name from the catalogue."
        )
    if path.is_dir() and is_taef2_folder(path):
        return load_taef2(path, name=name)
    if path.is_dir():
        _check_kind(path, entry)
        autoencoder = load_autoencoder_folder(path, name=name, family=entry.family if entry else None)
        if is_pipeline_folder(path):
            return PipelineSurrogate(path, autoencoder, name=name, family=autoencoder.family)
        return autoencoder
    return load_autoencoder_file(path, name=name)


def _check_kind(folder: Path, entry: CatalogueEntry | None) -> None:
    """Raise ModelError when the folder of a catalogue model holds another kind of autoencoder."""
    place = autoencoder_folder(folder) if entry else None
    if entry is None or place is None or entry.name == MINIATURE:
        return
    expected, found = published_config(entry.name), read_config(place)
    kinds = [f"{config['_class_name']} with {latent_channels(config)} channels" for config in (expected, found)]
    if kinds[0] != kinds[1]:
        raise ModelError(f"{folder} is not {entry.name!r}: expected {kinds[0]}, found {kinds[1]}; get the model again.")
