"""The only way from the command line into the rest of the package; everything heavy is imported when it is called.

Tests replace these functions; besides it only `machine` imports torch.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloak.config import ProtectConfig
from cloak.types import Device, Effort, FormatChoice

if TYPE_CHECKING:
    from cloak.image import PictureDocument
    from cloak.protect import Protector
    from cloak.registry import Registry
    from cloak.surrogates.pulling import PullPlan
    from cloak.targets import PortfolioKey
    from cloak.types import Step

__all__ = [
    "check_method",
    "create_protector",
    "device_name",
    "device_type",
    "embedded_names",
    "evaluation",
    "evaluation_parts",
    "expand_models",
    "farthest_style",
    "follows_key",
    "galleries",
    "has_certificate",
    "inspect_pair",
    "known_models",
    "methods",
    "model_names",
    "model_path",
    "open_picture",
    "plan_output",
    "plan_pull",
    "pull",
    "read_credentials",
    "read_key",
    "read_notice",
    "remove_model",
    "seconds_per_megapixel",
    "self_test",
    "sign_file",
    "store_folder",
    "style_names",
    "verify_model",
    "write_key",
    "write_report",
]


def create_protector(settings: ProtectConfig) -> "Protector":
    """Protects pictures with one configuration; its models are loaded once, at the first picture."""
    import cloak

    return cloak.Protector(settings)


def plan_output(source: Path, output: Path | None, choice: FormatChoice) -> Path:
    """Where the protected picture is written when nothing else is said."""
    import cloak

    return cloak.plan_output(source, output, choice)


def check_method(name: str) -> None:
    """Raise UnknownNameError unless there is a recipe of this name; the default one is known to exist."""
    if name != ProtectConfig.model_fields["method"].default:
        methods().get(name)


def methods() -> "Registry[Any]":
    """Every recipe."""
    from cloak.methods import METHODS

    return METHODS


def model_names(names: Sequence[str]) -> list[str]:
    """The models that `names` stand for on this machine."""
    from cloak.surrogates.store import resolve_models

    return list(resolve_models(names))


def embedded_names() -> frozenset[str]:
    """The models that ship with the package."""
    from cloak.surrogates.catalogue import CATALOGUE

    return frozenset(entry.name for entry in CATALOGUE.values() if entry.embedded)


def known_models() -> list[dict[str, Any]]:
    """One row for each model of the catalogue; `state` is present, embedded or absent.

    `complete` is false for a model that is present without all of its files: pictures can be protected against it, but
    some of its capabilities are missing.
    """
    from cloak.surrogates.catalogue import CATALOGUE, GROUPS
    from cloak.surrogates.store import installed, missing_files

    here = set(installed())
    rows: list[dict[str, Any]] = []
    for entry in CATALOGUE.values():
        ships = entry.embedded and _ships(entry.name)
        state = "embedded" if ships else "present" if entry.name in here else "absent"
        rows.append({
            "name": entry.name,
            "state": state,
            "complete": state == "embedded" or (state == "present" and not missing_files(entry.name)),
            "bytes": entry.size_bytes,
            "licence": entry.licence,
            "consent": entry.consent,
            "family": entry.family,
            "capabilities": sorted(entry.capabilities),
            "groups": [group for group, names in GROUPS.items() if entry.name in names],
            "summary": entry.summary,
            "hub_id": entry.hub_id,
            "revision": entry.revision,
        })  # fmt: skip
    return rows


def _ships(name: str) -> bool:
    """Whether an embedded model is in this copy of the package."""
    from cloak.surrogates.embedded import EMBEDDED_NAMES, embedded_files
    from cloak.surrogates.store import has_miniature

    return all(file.is_file() for file in embedded_files(name)) if name in EMBEDDED_NAMES else has_miniature()


def expand_models(names: Sequence[str]) -> list[str]:
    """Names of models and groups to names of models; raises UnknownModelError."""
    from cloak.surrogates.catalogue import expand_groups

    return expand_groups(names)


def plan_pull(name: str) -> "PullPlan | None":
    """What is to be fetched for a model, None when it is here; see `cloak.surrogates.pulling.plan_pull`."""
    from cloak.surrogates.pulling import plan_pull

    return plan_pull(name)


def pull(plan: "PullPlan") -> "Iterator[Step]":
    """Fetch a model; see `cloak.surrogates.pulling.pull`."""
    from cloak.surrogates.pulling import pull

    return pull(plan)


def remove_model(name: str) -> int:
    """Delete a pulled model and return the bytes that were freed."""
    from cloak.surrogates.pulling import remove

    return remove(name)


def model_path(name: str) -> Path:
    """Where a model lies; raises MissingModelError when it is not on this machine."""
    from cloak.surrogates.store import model_path

    return model_path(name)


def store_folder() -> Path:
    """Where pulled models lie."""
    from cloak.surrogates.store import models_folder

    return models_folder()


def verify_model(name: str) -> list[Path]:
    """The files of a model that were compared with their recorded sha256; raises ModelError when one differs."""
    from cloak.surrogates.store import verify

    return verify(name)


def seconds_per_megapixel(effort: Effort) -> float | None:
    """What a million pixels take on this machine, seconds; None when there is nothing to go by."""
    from cloak.estimate import seconds_per_megapixel

    return float(seconds_per_megapixel(effort))


def galleries() -> Any:
    """The part that works on many pictures."""
    import cloak.gallery

    return cloak.gallery


def device_name(choice: Device) -> str:
    """The device that will be used, with its name or threads; raises UsageError for one that this machine lacks."""
    import torch

    from cloak.device import resolve_device

    device = resolve_device(choice)
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'' if threads == 1 else 's'})" if device.type == "cpu" else device.type


def device_type(choice: Device) -> str:
    """Kind of the device that will be used: cpu, cuda or mps; raises UsageError for one that this machine lacks."""
    from cloak.device import resolve_device

    return str(resolve_device(choice).type)


def inspect_pair(original: Path, cloaked: Path, *, models: Sequence[str]) -> dict[str, Any]:
    """How visible and how strong the cloak still is, as JSON types."""
    from cloak.certificate import inspect_pair

    report: dict[str, Any] = inspect_pair(original, cloaked, models=tuple(models)).model_dump(mode="json")
    return report


def open_picture(source: Path | bytes) -> "PictureDocument":
    """A picture as a document; raises InputError for whatever is wrong with it."""
    from cloak.image import read_picture

    return read_picture(source)


def read_notice(path: Path) -> str | None:
    """The value of plus:DataMining in the file's XMP."""
    from cloak.image import read_notice

    return read_notice(path)


def follows_key(method: str) -> bool:
    """Whether a method pushes towards a style, and so where a portfolio key says."""
    return bool(methods().get(method).value.needs_target)


def style_names() -> tuple[str, ...]:
    """The styles that a key can name."""
    from cloak.targets import STYLE_NAMES

    return STYLE_NAMES


def farthest_style(pictures: "Iterable[PictureDocument]") -> str:
    """The style that is farthest from the pictures' own; raises UsageError without a picture."""
    from cloak.targets import farthest_style

    return farthest_style(picture.pixels for picture in pictures)


def write_key(path: Path, style: str) -> None:
    """Write a new portfolio key; raises UnknownNameError and OutputError."""
    from cloak.targets import PortfolioKey, painted_style, write_key

    write_key(PortfolioKey(style=painted_style(style).name), path)


def read_key(path: Path) -> "PortfolioKey":
    """A portfolio key; raises UsageError for whatever is none."""
    from cloak.targets import read_key

    return read_key(path)


def read_credentials(path: Path) -> dict[str, Any]:
    """What the Content Credentials in a file say; all null where the extra is missing."""
    from cloak.errors import MissingExtraError
    from cloak.provenance import Credentials, read_credentials

    try:
        found = read_credentials(path.read_bytes())
    except MissingExtraError:
        found = None
    return (found or Credentials()).as_json()


def has_certificate(path: Path) -> bool:
    """Whether a certificate that is about these bytes lies beside a picture."""
    from cloak.provenance import matching_certificate

    return matching_certificate(path, path.read_bytes()) is not None


def sign_file(source: Path, destination: Path, *, certificate: Path, key: Path, password: str | None) -> dict[str, Any]:
    """Sign a picture file; see `cloak.provenance.sign_file`."""
    from cloak.provenance import read_signer, sign_file

    return sign_file(source, destination, read_signer(certificate, key, password=password)).as_json()


def evaluation() -> Any:
    """The part that runs experiments."""
    import cloak_eval.experiments

    return cloak_eval.experiments


def evaluation_parts() -> dict[str, "Registry[Any]"]:
    """What experiments can name, by kind."""
    from cloak_eval.countermeasures import COUNTERMEASURES
    from cloak_eval.metrics import METRICS
    from cloak_eval.mimics import MIMICS

    return {"mimic": MIMICS, "countermeasure": COUNTERMEASURES, "metric": METRICS}


def write_report(results: Sequence[Path], out: Path) -> tuple[Path, Path]:
    """Write the page and the Markdown of result files; see `cloak_eval.report`."""
    from cloak_eval.report import write_report

    return write_report(results, out)


def self_test() -> Any:
    """The part that tests an artist's own pictures."""
    import cloak_eval.selftest

    return cloak_eval.selftest
