"""What a run of a gallery tells: command line, page and tests consume the same stream."""

from dataclasses import dataclass, field
from typing import Literal

from cloak.certificate import Certificate
from cloak.failures import Failure
from cloak.gallery.tasks import Progress

__all__ = ["Event", "EventKind", "Tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Where a run is.

    Args:
        total: pictures it found.
        kept: done before, with unchanged original, settings and result.
        done: cloaked by this run.
        failed: without a result, now or before.
        problems: files that may be pictures and are not worked on, each told by an event.
        left_alone: files that are no pictures, by reason.
        seconds: since the work on pictures began.
    """

    total: int = 0
    kept: int = 0
    done: int = 0
    failed: int = 0
    problems: int = 0
    left_alone: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def waiting(self) -> int:
        """Pictures that are neither done nor failed."""
        return self.total - self.kept - self.done - self.failed

    @property
    def per_minute(self) -> float | None:
        """Pictures a minute in this run; None before the first."""
        return 60 * self.done / self.seconds if self.done and self.seconds > 0 else None

    @property
    def eta_seconds(self) -> float | None:
        """Time to the end of the run at this rate, None before the first picture is done."""
        return None if self.per_minute is None else 60 * self.waiting / self.per_minute


EventKind = Literal["left", "planned", "progress", "done", "retry", "failed"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in a run.

    Args:
        kind: "left": a file that is not worked on; "planned": all pictures are counted; "progress": of one picture;
            "done", "failed": the end of one picture; "retry": it is tried again.
        name: of the picture or file.
        tally: where the run is now.
        message: why it failed, is tried again or left alone.
        failure: of a failed picture.
        output: name of the result.
        progress: of one picture.
        certificate: of the result.
    """

    kind: EventKind
    tally: Tally
    name: str = ""
    message: str = ""
    failure: Failure | None = None
    output: str | None = None
    progress: Progress | None = None
    certificate: Certificate | None = None
