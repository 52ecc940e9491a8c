"""Which models lie on this machine, where, and whether their bytes are the published ones."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from cloak.errors import MissingModelError, ModelError
from cloak.surrogates.catalogue import CATALOGUE, CatalogueEntry, catalogue_entry
from cloak.surrogates.embedded import EMBEDDED_NAMES, embedded_files, embedded_folder
from cloak.surrogates.inspection import PICKLE_SUFFIXES, file_sha256

__all__ = ["installed", "looks_like_path", "model_path", "models_folder", "resolve_models", "verify"]


def models_folder() -> Path:
    """Where pulled models lie: $ARTCLOAK_MODELS, else a folder of this user."""
    chosen = os.environ.get("ARTCLOAK_MODELS")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("artcloak") / "models"


def installed() -> list[str]:
    """Names of the pulled models that are complete enough to load, in the catalogue's order; without embedded ones."""
    return [entry.name for entry in CATALOGUE.values() if not entry.embedded and _is_installed(entry)]


def _is_installed(entry: CatalogueEntry) -> bool:
    folder = models_folder() / entry.name
    return all((folder / file.path).is_file() for file in entry.required_files)


def model_path(name: str) -> Path:
    """The folder of a pulled model, or the one that holds the embedded weights.

    Raises:
        UnknownNameError: the catalogue has no such name.
        MissingModelError: it is not on this machine.
    """
    entry = catalogue_entry(name)
    if entry.embedded:
        return embedded_folder()
    if not _is_installed(entry):
        raise MissingModelError(
            f"The model {name!r} is not on this machine; put its diffusers folder at {models_folder() / name}, "
            "or name another folder with --models."
        )
    return models_folder() / name


def looks_like_path(name: str) -> bool:
    """Whether a model is given as a place on disk and not by its name in the catalogue."""
    if not name or name in CATALOGUE:
        return False
    path = Path(name).expanduser()
    return path.exists() or path.name != name or path.suffix.lower() in {".safetensors", *PICKLE_SUFFIXES}


def resolve_models(names: Sequence[str]) -> list[str]:
    """The models that a choice stands for, each once, in order.

    Args:
        names: catalogue names, paths, or "auto": the autoencoders pulled to this machine, else the embedded ones.

    Raises:
        UnknownNameError: a name that the catalogue does not have.
        MissingModelError: a model that is not on this machine.
        ModelError: a path where there is nothing.
    """
    resolved: list[str] = []
    for name in names:
        resolved += _automatic() if name == "auto" else [_checked(name)]
    return list(dict.fromkeys(resolved))


def _automatic() -> list[str]:
    pulled = [name for name in installed() if {"encode", "decode"} <= CATALOGUE[name].capabilities]
    return pulled or list(EMBEDDED_NAMES)


def _checked(name: str) -> str:
    if not looks_like_path(name):
        model_path(name)
    elif not Path(name).expanduser().exists():
        raise ModelError(
            f"There is no model at {name}; give a folder, a .safetensors file or a name from the catalogue."
        )
    return name


def verify(name: str) -> list[Path]:
    """Compare a model's files with their recorded sha256.

    Returns:
        The files that were compared; those whose hash is not recorded are left out.

    Raises:
        ModelError: a file is missing or has other bytes, or the record of the embedded weights is missing.
    """
    folder = model_path(name)
    recorded = _embedded_hashes(name) if catalogue_entry(name).embedded else _published_hashes(name)
    for path, expected in recorded.items():
        if not (folder / path).is_file():
            raise ModelError(f"The model {name!r} lacks {path}; copy its diffusers folder there again.")
        if (actual := file_sha256(folder / path)) != expected:
            raise ModelError(f"{folder / path} has sha256 {actual}, recorded is {expected}; get the model again.")
    return [folder / path for path in recorded]


def _published_hashes(name: str) -> dict[str, str]:
    entry, folder = catalogue_entry(name), models_folder() / name
    required = {file.path for file in entry.required_files}
    present = [file for file in entry.files if file.path in required or (folder / file.path).exists()]
    return {file.path: file.sha256 for file in present if file.sha256 is not None}


def _embedded_hashes(name: str) -> dict[str, str]:
    record = embedded_folder() / "provenance.json"
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        return {path.name: str(files[path.name]["sha256"]) for path in embedded_files(name)}
    except OSError as error:
        raise ModelError(
            f"{record.name}, the record of the embedded weights, is missing; reinstall artcloak."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record.name} does not record the hashes of {name!r}; reinstall artcloak.") from error
