"""Many pictures: find, plan, journal, resume, and the engines that do the work."""

from cloak.gallery.engines import Engine, LocalEngine, default_workers
from cloak.gallery.events import Event, Tally
from cloak.gallery.journal import Journal
from cloak.gallery.originals import LeftAlone, Original, find_originals
from cloak.gallery.run import Gallery, Run, journal_path
from cloak.gallery.tasks import Worker

__all__ = [
    "Engine",
    "Event",
    "Gallery",
    "Journal",
    "LeftAlone",
    "LocalEngine",
    "Original",
    "Run",
    "Tally",
    "Worker",
    "default_workers",
    "find_originals",
    "journal_path",
]
