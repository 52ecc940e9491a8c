"""What the page's process and the working process tell each other; plain data that both can pickle."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cloak.config import ProtectConfig
from cloak.types import Effort, Stage, Strength

__all__ = [
    "AttackTask",
    "Failed",
    "Finished",
    "LookTask",
    "Message",
    "Mimic",
    "Progress",
    "ProofStage",
    "ProofTask",
    "ProtectTask",
    "Ready",
    "Task",
]

Mimic = Literal["lora", "dreambooth", "textual-inversion"]
ProofStage = Literal["publish", "treat", "judge", "learn", "drawn"]  # of a cell of an experiment


@dataclass(frozen=True, slots=True)
class LookTask:
    """Show a picture, and a part of it as each strength will look.

    Args:
        source: the picture.
        strengths: which to try.
    """

    source: Path
    strengths: tuple[Strength, ...] = ("subtle", "balanced", "strong")


@dataclass(frozen=True, slots=True)
class ProtectTask:
    """Protect a picture and make the views that show what was done.

    Args:
        source: the picture.
        config: settings.
        views: whether the pictures that show what was done are wanted.
    """

    source: Path
    config: ProtectConfig
    views: bool = True


@dataclass(frozen=True, slots=True)
class AttackTask:
    """Process an original and its cloak as an attacker may, and see what of the effect is left.

    Args:
        source: the cloaked picture.
        original: what it was made from.
        attacks: names out of `cloak_ui.attacking.known_attacks`.
    """

    source: Path
    original: Path
    attacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofTask:
    """Mimic an artist's clean and cloaked pictures and compare what the mimics draw.

    Args:
        source: folder with the pictures, and nothing else.
        mimic: how they are imitated.
    """

    source: Path
    mimic: Mimic = "lora"


Task = LookTask | ProtectTask | AttackTask | ProofTask


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded what it needs.

    Args:
        rates: seconds for a megapixel with each effort on this machine.
        device: where it computes.
    """

    rates: dict[Effort, float]
    device: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One event of a task.

    Args:
        stage: as in `cloak.types.Step`, or of a self-test; None when it brings only pictures.
        index: steps of the stage that are done.
        total: steps of the stage.
        seconds: since the task began.
        eta_seconds: to its end, None when unknown.
        pictures: files that are new or were replaced, by their name on the page.
        facts: what was found out about the picture.
        figures: what was measured, by name.
    """

    stage: Stage | ProofStage | None = None
    index: int = 0
    total: int = 0
    seconds: float = 0.0
    eta_seconds: float | None = None
    pictures: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, str | int | bool] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """The task ended well.

    Args:
        files: results to be downloaded, by their name on the page.
    """

    files: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The task ended with an error that a person is told.

    Args:
        kind: name of the error class.
        message: one or two sentences.
    """

    kind: str
    message: str


Message = Ready | Progress | Finished | Failed
