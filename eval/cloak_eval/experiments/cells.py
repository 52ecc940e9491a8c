"""The cells of a matrix and what is kept of a finished one."""

import hashlib
import itertools
from typing import Any, Literal

from pydantic import Field

from cloak_eval.benchmarks.results import Provenance, Record
from cloak_eval.experiments.config import BOUNDS, CLEAN, NOISE, UNTRAINED, Experiment
from cloak_eval.metrics import Interval

__all__ = ["Cell", "CellResult", "MetricResult", "cells_of"]


class Cell(Record):
    """One mimicry: whose pictures, protected how, attacked how, imitated how."""

    artist: str
    method: str
    strength: str = Field(description="'' for clean pictures.")
    mimic: str
    countermeasure: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its result file, without suffix."""
        protected = f"{self.method}-{self.strength}" if self.strength else self.method
        return f"{self.artist}--{protected}--{self.mimic}--{self.countermeasure}--{self.seed}"

    @property
    def is_clean(self) -> bool:
        """Whether the pictures are as the artist made them."""
        return self.method == CLEAN

    @property
    def is_bound(self) -> bool:
        """Whether nothing is learnt: it shows what mimics lie between."""
        return self.mimic in BOUNDS


class MetricResult(Record):
    """One figure."""

    figure: Interval
    rows: list[float] = Field(description="One for each drawing or picture; empty for figures about the set.")
    higher_is_better: bool | None
    value_range: tuple[float, float] | None
    backbone: str


class CellResult(Record):
    """A finished or failed cell."""

    schema_version: Literal[1] = 1
    experiment: str
    key: str = Field(description="sha256 of all that decides the numbers; another key means the cell is run again.")
    cell: Cell
    status: Literal["done", "failed"]
    error: str | None = None
    settings: dict[str, Any] = Field(description="Of the experiment, resolved.")
    provenance: Provenance
    weights: dict[str, str | None] = Field(default={}, description="sha256 by model.")
    pictures: dict[str, str] = Field(default={}, description="sha256 of the artist's files that were stolen.")
    judge: dict[str, Any] = Field(default={}, description="How good the style classifier is on held-out crops.")
    metrics: dict[str, MetricResult] = Field(default={})
    called: dict[str, int] = Field(default={}, description="Drawings by the artist whom the judge names.")
    final_loss: float | None = Field(default=None, description="Mean of the last tenth of the training; null without.")
    seconds: float
    protect_seconds: float | None = Field(default=None, description="Of each picture; null where nothing was computed.")
    peak_memory_bytes: int | None


def cells_of(experiment: Experiment) -> list[Cell]:
    """Every cell, controls first: without fine-tune, copies, clean, noise, then the methods."""
    arms = [(CLEAN, "")]
    arms += [(method, strength) for strength in experiment.strengths for method in (NOISE, *experiment.methods)]
    trained = [mimic for mimic in experiment.mimics if mimic != UNTRAINED]
    bounds = [mimic for mimic in BOUNDS if mimic not in trained]
    starts = itertools.product(experiment.seeds, bounds, experiment.artists)
    cells = [_cell(artist, (CLEAN, ""), mimic, "none", seed) for seed, mimic, artist in starts]
    axes = (experiment.seeds, trained, arms, experiment.artists, experiment.countermeasures)
    for seed, mimic, arm, artist, countermeasure in itertools.product(*axes):
        cells.append(_cell(artist, arm, mimic, countermeasure, seed))
    return cells


def _cell(artist: str, arm: tuple[str, str], mimic: str, countermeasure: str, seed: int) -> Cell:
    method, strength = arm
    return Cell(artist=artist, method=method, strength=strength, mimic=mimic, countermeasure=countermeasure, seed=seed)


def digest(*parts: str | bytes) -> str:
    """sha256 over parts, each with its length, so that no two lists of parts give the same bytes."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()
