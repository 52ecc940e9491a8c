"""An experiment is a file, a finished cell of its matrix is a file."""

from cloak_eval.experiments.cells import Cell, CellResult, cells_of
from cloak_eval.experiments.config import Experiment, read_experiment
from cloak_eval.experiments.runner import CellEvent, CellStep, run_experiment, watch_experiment

__all__ = [
    "Cell",
    "CellEvent",
    "CellResult",
    "CellStep",
    "Experiment",
    "cells_of",
    "read_experiment",
    "run_experiment",
    "watch_experiment",
]
