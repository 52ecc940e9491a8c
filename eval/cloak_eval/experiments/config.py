"""What an experiment file says."""

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cloak.errors import InputError, UsageError
from cloak.types import Effort, Strength
from cloak_eval.removal import RemoverConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["BOUNDS", "CLEAN", "CONTROLS", "COPY", "NOISE", "OWN", "UNTRAINED", "Experiment", "read_experiment"]

CLEAN, NOISE = "clean", "noise"
OWN = "own"  # the strength that a method was published with
CONTROLS = (CLEAN, NOISE)
UNTRAINED, COPY = "none", "copy"
BOUNDS = (UNTRAINED, COPY)  # mimics without training, between which all others lie


class Experiment(BaseModel):
    """A matrix of method x strength x artist x mimic x countermeasure x seed; all arms share prompts, seeds, steps."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Names the folder of its results.")
    model: str = Field(default="miniature", description="What the thief fine-tunes: a catalogue name or a folder.")
    eye: str | None = Field(
        default=None,
        description="Image encoder of the metrics that need one: catalogue name or folder; null: the model's own.",
    )
    protect_models: tuple[str, ...] = Field(default=("auto",), description="What the cloak is made against.")
    artists: tuple[str, ...] = Field(min_length=1, description="Folders below the art folders.")
    also_judged: tuple[str, ...] = Field(default=(), description="More artists that the judge can answer with.")
    methods: tuple[str, ...] = Field(min_length=1, description="Recipes, or names in `external`; controls are added.")
    strengths: tuple[Strength | Literal["own"], ...] = Field(
        default=("balanced",), description="own is the bound and the number of steps that a method was published with."
    )
    effort: Effort = "standard"
    mimics: tuple[str, ...] = ("lora",)
    countermeasures: tuple[str, ...] = Field(
        default=("none",), description="Names; joined by + they act one after the other."
    )
    metrics: tuple[str, ...] = Field(default=(), description="All of them when empty.")
    seeds: tuple[int, ...] = (0,)
    subjects: tuple[str, ...] = Field(
        min_length=2, description="What is drawn; none of it is in the training pictures."
    )
    pictures: int = Field(
        default=8, ge=1, description="The artist's first so many are stolen, the others are references."
    )
    posted_side: int | None = Field(
        default=256, ge=64, description="Short side that pictures are posted at; null keeps it."
    )
    judge_crops: int = Field(
        default=4, ge=1, description="Crops of each picture that the judge learns and is measured on."
    )
    floor: float = Field(default=0.7, gt=0, le=1, description="Least attribution of a clean mimic; else inconclusive.")
    mimic_settings: dict[str, dict[str, Any]] = Field(default={}, description="By mimic; fields of its config.")
    remover: RemoverConfig = Field(
        default=RemoverConfig(), description="Of the attacker that learns from pairs, and of the detector."
    )
    external: dict[str, Path] = Field(
        default={}, description="Method name to a folder of artists' folders of cloaked files."
    )

    @field_validator("methods")
    @classmethod
    def _without_controls(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        """Controls are always run, so naming them is no mistake and changes nothing."""
        return tuple(dict.fromkeys(method for method in methods if method not in CONTROLS))


def read_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    With `extends = "other.toml"` it only says what differs from that file, found from its own folder: tables are
    merged, lists and the rest replaced. The name is never taken over, for it names the folder of results.

    Raises:
        InputError: it, or a file that it extends, cannot be read.
        UsageError: it says something unknown or impossible.
    """
    try:
        return Experiment.model_validate({"name": path.stem, **_settings(path.resolve())})
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{path} is not a valid experiment: {said}.") from error


def _settings(path: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path in extended_by:
        raise UsageError(f"{path} extends itself.")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as an experiment: {error}") from error
    other = settings.pop("extends", None)
    if other is None:
        return settings
    if not isinstance(other, str):
        raise UsageError(f"{path} is not a valid experiment: extends: it names one file.")
    below = _settings((path.parent / other).resolve(), (*extended_by, path))
    return _over({key: value for key, value in below.items() if key != "name"}, settings)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _over(below[key], above[key])
    return merged
