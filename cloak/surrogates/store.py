"""Which models lie on this machine, where, and whether their bytes are the published ones."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from cloak.errors import MissingModelError, ModelError
from cloak.surrogates.catalogue import CATALOGUE, CatalogueEntry, catalogue_entry
from cloak.surrogates.embedded import EMBEDDED_NAMES, embedded_files, embedded_folder, is_taef2_folder
from cloak.surrogates.inspection import PICKLE_SUFFIXES, file_sha256
from cloak.surrogates.record import read_record

__all__ = [
    "MINIATURE",
    "has_miniature",
    "installed",
    "looks_like_path",
    "missing_files",
    "model_path",
    "models_folder",
    "resolve_models",
    "verify",
]

MINIATURE = "miniature"


def models_folder() -> Path:
    """Where pulled models lie: $ARTCLOAK_MODELS, else a folder of this user."""
    chosen = os.environ.get("ARTCLOAK_MODELS")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("artcloak") / "models"


def installed() -> list[str]:
    """Names of the pulled models that are complete enough to load, in the catalogue's order; without embedded ones."""
    return [entry.name for entry in CATALOGUE.values() if not entry.embedded and _is_installed(entry)]


def _is_installed(entry: CatalogueEntry) -> bool:
    folder = models_folder() / entry.name
    if entry.name == "taef2" and is_taef2_folder(folder):  # its two original files do as well as the one that is pulled
        return True
    return all((folder / file.path).is_file() for file in entry.required_files)


def model_path(name: str) -> Path:
    """The folder of a pulled model, or the one that holds the embedded weights.

    Raises:
        UnknownNameError: the catalogue has no such name.
        MissingModelError: it is not on this machine.
    """
    entry = catalogue_entry(name)
    if name == MINIATURE:
        return _miniature_folder()
    if entry.embedded:
        return embedded_folder()
    if not _is_installed(entry):
        raise MissingModelError(
            f"The model {name!r} is not on this machine; get it with: cloak models pull {name} (or put its diffusers "
            f"folder at {models_folder() / name}, or name another folder with --models)."
        )
    return models_folder() / name


def has_miniature() -> bool:
    """Whether this copy of the package has the miniature, or at least its autoencoder."""
    return (embedded_folder() / MINIATURE / "vae" / "config.json").is_file()


def _miniature_folder() -> Path:
    folder = embedded_folder() / MINIATURE
    if not has_miniature():
        raise MissingModelError(
            f"The model {MINIATURE!r} is not in this copy of artcloak; get a copy that has it with: "
            "pip install --force-reinstall artcloak"
        )
    return folder


def missing_files(name: str) -> list[str]:
    """Files of a pulled model that are not here, also those that are not needed to protect pictures against it."""
    folder = models_folder() / name
    return [file.path for file in catalogue_entry(name).files if not (folder / file.path).is_file()]


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
    folder, embedded = model_path(name), catalogue_entry(name).embedded
    again = "pip install --force-reinstall artcloak" if embedded else f"cloak models pull {name}"
    recorded = _embedded_hashes(name) if embedded else _published_hashes(name)
    for path, expected in recorded.items():
        if not (folder / path).is_file():
            raise ModelError(f"The model {name!r} lacks {path}; get it again with: {again}")
        if (actual := file_sha256(folder / path)) != expected:
            raise ModelError(f"{folder / path} has sha256 {actual}, recorded is {expected}; get it again with: {again}")
    return [folder / path for path in recorded]


def _published_hashes(name: str) -> dict[str, str]:
    """What the catalogue pins, else what was recorded when the model was pulled."""
    entry, folder = catalogue_entry(name), models_folder() / name
    record = read_record(folder)
    hashes = dict(record.sha256) if record else {}
    required = {file.path for file in entry.required_files}
    for file in entry.files:
        if file.sha256 is not None and (file.path in required or (folder / file.path).exists()):
            hashes[file.path] = file.sha256
    return hashes


def _embedded_hashes(name: str) -> dict[str, str]:
    folder = model_path(name)
    record = folder / "provenance.json"
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        names = files if name == MINIATURE else [path.name for path in embedded_files(name)]
        return {file: str(files[file]["sha256"]) for file in names}
    except OSError as error:
        raise ModelError(
            f"{record.name}, the record of the embedded weights, is missing; reinstall artcloak."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record.name} does not record the hashes of {name!r}; reinstall artcloak.") from error
