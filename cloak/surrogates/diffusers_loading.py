"""Autoencoders from local folders and files, through diffusers, without a network and without pickles."""

import json
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cloak.errors import ModelError
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.surrogates.families import AUTOENCODER_CLASSES, guess_family
from cloak.surrogates.inspection import PICKLE_SUFFIXES, read_header, refuse_pickle, weights_sha256
from cloak.surrogates.structure import Structure, read_structure

__all__ = [
    "UNUSABLE",
    "autoencoder_folder",
    "first_line",
    "load_autoencoder_file",
    "load_autoencoder_folder",
    "read_config",
    "silent_diffusers",
    "weight_files",
]

_WEIGHTS = r"{}(?:\.(?P<variant>\w+))?(?:-\d{{5}}-of-\d{{5}})?\.safetensors"
UNUSABLE = (  # what diffusers and PyTorch raise at files and configurations that they cannot make sense of
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError,
    SafetensorError, TypeError, ValueError,
)  # fmt: skip


def autoencoder_folder(folder: Path) -> Path | None:
    """Where the autoencoder's config.json lies: in `folder` or, for a pipeline, in its vae/; None for nowhere."""
    return next((place for place in (folder / "vae", folder) if (place / "config.json").is_file()), None)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json in `folder`.

    Raises:
        ModelError: it cannot be read, or is not that of an autoencoder that is known.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        class_name = config.get("_class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read as a model's configuration: {error}.") from error
    if class_name not in AUTOENCODER_CLASSES:
        raise ModelError(f"{path} is that of {class_name}; it must be one of {', '.join(AUTOENCODER_CLASSES)}.")
    return dict(config)


def load_autoencoder_folder(folder: Path, *, name: str, family: str | None = None) -> DiffusersAutoencoder:
    """The autoencoder in a diffusers folder or pipeline folder.

    Raises:
        ModelError: it holds none that can be used.
    """
    place = autoencoder_folder(folder)
    if place is None:
        _refuse_pickles_in(folder)
        raise ModelError(f"{folder} holds no config.json and no vae/config.json; give a diffusers folder.")
    config = read_config(place)
    files, variant = weight_files(place)
    stored = {tensor for file in files for tensor in read_header(file).shapes}
    if not any(tensor.startswith("decoder.") for tensor in stored):
        raise ModelError(f"{place} holds no decoder; get the complete autoencoder.")
    module = _from_pretrained(place, config["_class_name"], variant)
    hints = f"{config.get('_name_or_path', '')} {folder.name}".lower()
    family = family or guess_family(config["_class_name"], config, hints)
    return _surrogate(module, name, family, files)


def load_autoencoder_file(path: Path, *, name: str) -> DiffusersAutoencoder:
    """The autoencoder in a single safetensors file: on its own or in a full checkpoint, original or diffusers names.

    Raises:
        ModelError: it holds none that can be used.
    """
    structure = read_structure(read_header(path))
    try:
        with silent_diffusers():
            tensors = _read_tensors(path, structure)
            if structure.is_original:
                tensors = _convert_original(tensors, structure)
            module = _build(tensors, structure)
    except UNUSABLE as error:
        raise ModelError(f"{path} cannot be used as {structure.class_name}: {first_line(error)}") from error
    return _surrogate(module, name, structure.family, [path])


def _surrogate(module: nn.Module, name: str, family: str, files: list[Path]) -> DiffusersAutoencoder:
    """The finished surrogate, tried out on a small grey picture."""
    try:
        surrogate = DiffusersAutoencoder(module, name=name, family=family)
        with torch.no_grad():
            seen = surrogate.see(torch.full((1, 3, 8, 8), 0.5))
    except UNUSABLE as error:
        raise ModelError(f"{files[0]} does not take pictures: {first_line(error)}") from error
    if seen.shape != (1, 3, 8, 8) or not seen.isfinite().all():
        raise ModelError(f"{files[0]} does not give back pictures; get the model again.")
    surrogate.sha256 = weights_sha256(files)
    return surrogate


def weight_files(place: Path, stem: str = "diffusion_pytorch_model") -> tuple[list[Path], str | None]:
    """Safetensors of one variant, the full-precision one if it is there, and the variant's name.

    Args:
        place: folder of one part of a pipeline.
        stem: how the files' names begin; "model" for those of transformers.

    Raises:
        ModelError: there are none.
    """
    pattern = re.compile(_WEIGHTS.format(stem))
    variants: dict[str, list[Path]] = {}
    for path in sorted(place.iterdir()):
        if match := pattern.fullmatch(path.name):
            variants.setdefault(match["variant"] or "", []).append(path)
    if not variants:
        _refuse_pickles_in(place)
        raise ModelError(f"{place} holds no {stem}.safetensors; get the model again.")
    variant = min(variants)
    return variants[variant], variant or None


def _refuse_pickles_in(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            refuse_pickle(path)


def _diffusers_class(class_name: str) -> Any:
    import diffusers  # heavy, only for real models

    return getattr(diffusers, class_name)


@contextmanager
def silent_diffusers() -> Iterator[None]:
    """What it would log about missing tensors is raised as an error here."""
    from diffusers.utils import logging as diffusers_logging

    verbosity = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(verbosity)


def _from_pretrained(place: Path, class_name: str, variant: str | None) -> nn.Module:
    options = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False, "variant": variant}
    try:
        with silent_diffusers():
            kind = _diffusers_class(class_name)
            module, loading = kind.from_pretrained(str(place), output_loading_info=True, **options)
    except UNUSABLE as error:
        raise ModelError(f"{place} cannot be used as {class_name}: {first_line(error)}") from error
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(f"{place} lacks {len(missing)} tensors of its {class_name}, e.g. {missing[0]}; get it again.")
    result: nn.Module = module.float()
    return result


def _read_tensors(path: Path, structure: Structure) -> dict[str, Tensor]:
    """Only the autoencoder's tensors, in float32, under the model's names."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(stored).float() for name, stored in structure.names.items()}


def _convert_original(tensors: dict[str, Tensor], structure: Structure) -> dict[str, Tensor]:
    """Diffusers names for tensors named as in the first release of latent diffusion."""
    with tempfile.TemporaryDirectory() as folder:
        widths = structure.config.get("decoder_block_out_channels", structure.config["block_out_channels"])
        if widths != structure.config["block_out_channels"]:
            raise ValueError("its decoder is not as wide as its encoder; use the diffusers release of it.")
        config = {**structure.config, "_class_name": "AutoencoderKL"}
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("bn.")}
        stored = sum(tensor.numel() for tensor in kept.values())
        module = _diffusers_class("AutoencoderKL").from_single_file(
            kept, config=folder, local_files_only=True, low_cpu_mem_usage=False
        )
    converted: dict[str, Tensor] = module.state_dict()
    needed = sum(tensor.numel() for tensor in converted.values())
    if stored != needed:  # diffusers fills what it does not find with random numbers
        raise ValueError(f"it holds {stored} numbers of the {needed} that the autoencoder has.")
    return {**converted, **{name: tensor for name, tensor in tensors.items() if name.startswith("bn.")}}


def _build(tensors: dict[str, Tensor], structure: Structure) -> nn.Module:
    with torch.device("meta"):
        module: nn.Module = _diffusers_class(structure.class_name).from_config(structure.config)
    expected = module.state_dict()
    if "bn.running_mean" in tensors:
        tensors.setdefault("bn.num_batches_tracked", torch.tensor(0))
    tensors = {name: _as_shaped(tensor, expected.get(name)) for name, tensor in tensors.items()}
    module.load_state_dict(tensors, strict=True, assign=True)
    return module


def _as_shaped(tensor: Tensor, expected: Tensor | None) -> Tensor:
    """Attention weights that were stored as 1x1 convolutions become matrices."""
    if expected is None or tensor.shape == expected.shape or tensor.squeeze().shape != expected.squeeze().shape:
        return tensor
    return tensor.reshape(expected.shape)


def first_line(error: BaseException) -> str:
    """What an error of diffusers or PyTorch says, without the rest of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):  # PyTorch announces the list of what does not fit
        lines = lines[1:]
    return lines[0][:200] if lines else type(error).__name__
