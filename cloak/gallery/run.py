"""A run of a gallery: plan, hand out, write, note down. Everything that touches files or the journal happens here.

The order of things makes it safe to be killed anywhere: the name of a result is in the journal before anything is
written under it; picture and certificate are on the disk before the journal says "done"; "done" is believed only while
the files' hashes are what the journal says.
"""

import contextlib
import errno
import hashlib
import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.errors import CloakError, OutputError, UsageError
from cloak.failures import OUT_OF_MEMORY, Failure, explain
from cloak.gallery.engines import Engine
from cloak.gallery.events import Event, Tally
from cloak.gallery.grouping import gains, grouped
from cloak.gallery.journal import Journal, Row, open_journal
from cloak.gallery.naming import certificate_name, result_names
from cloak.gallery.originals import LeftAlone, Original, find_among, find_originals
from cloak.gallery.settings import settings_digest
from cloak.gallery.stores import Store, open_store
from cloak.gallery.tasks import Cloaked, Lost, Message, Progress, Task
from cloak.gallery.watching import settled_files

__all__ = ["Gallery", "Run", "journal_path"]

_MOST_ENDED = 2  # a picture that ended two workers is not given to a third
_MOST_LOST = 5  # nor one whose workers were lost so often, with their machines or not
_LEAST_MEMORY = 500_000_000  # bytes, as ProtectConfig has it
_BATCH = 500
_WAIT_SECONDS = 0.25
Hashes = dict[str, str | None]
Ready = deque[list[Task] | Event]


def journal_path(destination: str) -> Path:
    """Where the journal of a gallery lies: with the results, or, for those behind a URL, in this user's own folder."""
    if "://" not in destination:
        return Path(destination) / ".artcloak" / "journal.sqlite"
    import platformdirs

    name = hashlib.sha256(destination.rstrip("/").encode()).hexdigest()[:16]
    return platformdirs.user_state_path("artcloak", appauthor=False) / "galleries" / name / "journal.sqlite"


class Gallery:
    """Many pictures, one configuration, one place for the results.

    Args:
        source: folder, archive, list of paths or pattern; see `find_originals`.
        destination: folder or fsspec URL.
        config: settings, the same for every picture.
        models: names that the settings' models stand for here.
        retry_failed: try again what failed before; otherwise it is tried again only when it or the settings change.
        overwrite: replace files that lie where results go and that no run of this gallery wrote.
        journal: where the journal lies; None for `journal_path`.
    """

    def __init__(
        self,
        source: str,
        destination: str,
        *,
        config: ProtectConfig,
        models: Sequence[str],
        retry_failed: bool = False,
        overwrite: bool = False,
        journal: Path | None = None,
    ) -> None:
        self.source, self.destination, self.config = source, destination, config
        self.settings_sha256 = settings_digest(config, models)
        self.models = list(models)
        self.retry_failed, self.overwrite = retry_failed, overwrite
        self.journal_path = journal or journal_path(destination)
        self.folder = None if "://" in destination else Path(destination)
        if self.folder is not None and self.folder.resolve() == Path(source).resolve():
            raise UsageError(
                "Results cannot go into the folder of the originals; give another one, also one within it."
            )

    @contextlib.contextmanager
    def opened(self) -> "Iterator[Run]":
        """A run that nothing else disturbs until the block ends.

        Raises:
            OutputError: another run is at work on the destination, or it cannot be written.
        """
        with open_journal(self.journal_path) as journal:
            store = open_store(self.destination)
            store.tidy()
            yield Run(self, journal, store)

    def find(self) -> Iterator[Original | LeftAlone]:
        """What there is in the source."""
        return find_originals(self.source, skip=self.folder)

    def appearing(self) -> Iterator[list[Original | LeftAlone]]:
        """What appears in the source from the first item on, which comes at once; empty while nothing does."""
        root = Path(self.source)
        for paths in settled_files(root):
            yield list(find_among(root, paths, skip=self.folder))


class Run:
    """One run: `plan`, then `work`; both may be called again for pictures that appeared meanwhile."""

    def __init__(self, gallery: Gallery, journal: Journal, store: Store) -> None:
        self.gallery, self.journal, self.store = gallery, journal, store
        self.tally = Tally()
        self._halvings: dict[str, int] = {}  # of the memory that a picture gets
        self._lost: dict[str, list[str]] = {}  # machines of the workers that ended at it alone
        self._hashes: dict[str, Hashes] = {}  # of what is in the workers' hands
        self._rows: dict[str, Row] = {}

    def plan(self, found: Iterable[Original | LeftAlone]) -> Iterator[Event]:
        """Note what there is, and what of it has been done; nothing is written but the journal."""
        self.journal.begin(self.gallery.settings_sha256)
        self.tally = Tally()
        left: dict[str, int] = {}
        problems = 0
        originals = _originals(found, left)
        while batch := list(itertools.islice(originals, _BATCH)):
            self.journal.find(each for each in batch if isinstance(each, Original))
            for each in batch:
                if isinstance(each, LeftAlone):
                    problems += 1
                    yield Event("left", self.tally, each.name, each.reason)
        kept = self._check_done()
        self._check_failed()
        counts = self.journal.counts()
        self.tally = Tally(sum(counts.values()), kept=kept, failed=counts["failed"], problems=problems, left_alone=left)
        yield Event("planned", self.tally)

    def _check_done(self) -> int:
        """Send back what is not done any more; returns how many are."""
        kept = 0
        for row in self.journal.rows("done"):
            if self._is_done(row):
                kept += 1
            else:
                self.journal.wait(row.original.name)
        return kept

    def _is_done(self, row: Row) -> bool:
        if row.settings_sha256 != self.gallery.settings_sha256 or row.output is None:
            return False
        if self.store.sha256(row.output) != row.output_sha256:
            return False
        if self.store.sha256(certificate_name(row.output)) != row.certificate_sha256:
            return False
        return _input_sha256(row.original) == row.input_sha256

    def _check_failed(self) -> None:
        """Send back what may succeed now."""
        for row in self.journal.rows("failed"):
            changed = row.settings_sha256 != self.gallery.settings_sha256
            if self.gallery.retry_failed or changed or _input_sha256(row.original) != row.input_sha256:
                self.journal.wait(row.original.name)

    def work(self, engine: Engine) -> Iterator[Event]:
        """Do what is waiting, as a stream of events; closing it loses only what is in the workers' hands.

        Raises:
            OutputError: the disk is full; what was done is kept.
        """
        began = time.monotonic()
        tasks = self._groups(engine)
        ready: Ready = deque()
        while True:
            while len(ready) <= engine.free() and (task := next(tasks, None)) is not None:
                ready.append(task)  # one more than is needed: it is read while the workers are busy
            while ready and (isinstance(ready[0], Event) or engine.free()):
                first = ready.popleft()
                if isinstance(first, Event):
                    yield self._counted(first, began)
                else:
                    engine.submit(first)
            if not self._hashes and not ready:
                break
            for message in engine.messages(_WAIT_SECONDS):
                if (event := self._answer(message, ready, engine)) is not None:
                    yield self._counted(event, began)

    def failures(self) -> Iterator[tuple[str, Failure]]:
        """Every picture of this run that has no result, now or from before, and why."""
        for row in self.journal.rows("failed"):
            yield row.original.name, Failure(row.kind, row.message, 1)

    def _groups(self, engine: Engine) -> Iterator[list[Task] | Event]:
        """What is waiting, as it is handed to workers: while there is enough for all of them, more than one at once."""

        def share(held: int) -> int:
            left = self.tally.waiting - len(self._hashes) + held
            return max(1, left // max(1, engine.workers()))

        if gains(self.gallery.config):
            return grouped(self._tasks(), share)
        return ([each] if isinstance(each, Task) else each for each in self._tasks())

    def _tasks(self) -> Iterator[Task | Event]:
        """What is waiting, read when it is asked for; also what fails before there is anything to compute."""
        for row in self.journal.rows("waiting"):
            name = row.original.name
            hashes: Hashes = {"settings": self.gallery.settings_sha256, "input": None}
            try:
                data = row.original.read()
                hashes["input"] = hashlib.sha256(data).hexdigest()
                output, adopted = self._output(row, hashes)
            except CloakError as error:
                yield self._fail(name, explain(error), hashes)
                continue
            if adopted:
                beside = self.store.sha256(certificate_name(output))
                found: Hashes = {"output": self.store.sha256(output), "certificate": beside}
                self.journal.done(name, hashes=hashes | found, seconds=0.0)
                self.tally = replace(self.tally, kept=self.tally.kept + 1)
                continue
            self._hashes[name], self._rows[name] = hashes, replace(row, output=output)
            yield Task(name, data, self.gallery.config)

    def _output(self, row: Row, hashes: Hashes) -> tuple[str, bool]:
        """The name for a result, and whether it is there already although the journal does not know it.

        Raises:
            OutputError: a file that is not ours lies there.
        """
        name, choice = row.original.name, self.gallery.config.format
        names = list(itertools.islice(result_names(name, choice), 3))
        if row.output is not None and row.output in names:
            return row.output, False
        for output in result_names(name, choice):
            if self.journal.is_taken(name, output):
                continue
            there = [each for each in (output, certificate_name(output)) if self.store.sha256(each) is not None]
            adopted = bool(there) and self._is_result(output, hashes)
            if adopted or not there or self.gallery.overwrite:
                self.journal.give_output(name, output)
                return output, adopted
            raise OutputError(
                f"{there[0]} is there already and was not written by this gallery; move it away or give --overwrite."
            )
        raise AssertionError("there is always another name")

    def _is_result(self, output: str, hashes: Hashes) -> bool:
        """Whether files that the journal does not know are the result that would be made, as the certificate tells."""
        try:
            certificate = Certificate.model_validate_json(self.store.read(certificate_name(output)))
        except (OSError, ValidationError):
            return False
        digest = settings_digest(certificate.config, [model.name for model in certificate.models])
        same = certificate.input.sha256 == hashes["input"] and digest == hashes["settings"]
        return same and self.store.sha256(output) == certificate.output.sha256

    def _answer(self, message: Message, ready: Ready, engine: Engine) -> Event:
        if isinstance(message, Progress):
            return Event("progress", self.tally, message.name, progress=message)
        if isinstance(message, Cloaked):
            return self._keep(message)
        if isinstance(message, Lost):
            return self._try_elsewhere(message, ready, engine)
        if message.failure.kind == OUT_OF_MEMORY:
            self._halvings[message.name] = self._halvings.get(message.name, 0) + 1
            return self._try_again(message.name, ready, "there was not enough memory", message.failure)
        return self._fail(message.name, message.failure)

    def _keep(self, cloaked: Cloaked) -> Event:
        """Write a result, then note it down."""
        row, hashes = self._rows.pop(cloaked.name), self._hashes.pop(cloaked.name)
        assert row.output is not None
        facts = cloaked.certificate.output.named(row.output.rpartition("/")[2])
        certificate = cloaked.certificate.model_copy(update={"output": facts})
        try:
            status = row.original.status()
        except OSError:
            status = None  # gone meanwhile
        beside = certificate.model_dump_json(indent=1).encode()
        try:
            self.store.write(row.output, cloaked.data, like=status)
            self.store.write(certificate_name(row.output), beside)
        except OutputError as error:
            if _is_disk_full(error):
                raise
            return self._fail(cloaked.name, explain(error), hashes)
        written = {"output": facts.sha256, "certificate": hashlib.sha256(beside).hexdigest()}
        self.journal.done(cloaked.name, hashes=hashes | written, seconds=certificate.seconds)
        self.tally = replace(self.tally, done=self.tally.done + 1)
        return Event("done", self.tally, cloaked.name, output=row.output, certificate=certificate)

    def _try_elsewhere(self, lost: Lost, ready: Ready, engine: Engine) -> Event:
        """Once more what a worker ended at; among others that says nothing about any of them."""
        if not lost.alone:
            return self._hand_out(lost.name, ready, self.gallery.config.max_memory, "the worker ended; once more alone")
        machines = self._lost.setdefault(lost.name, [])
        machines.append(lost.machine)
        ended = sum(not engine.is_gone(machine) for machine in machines)
        reason = "A worker ended twice at this picture, perhaps for want of memory; give a smaller --max-memory."
        failure = Failure("WorkerLost", reason, 1)
        if ended >= _MOST_ENDED or len(machines) >= _MOST_LOST:
            return self._fail(lost.name, failure)
        self._halvings[lost.name] = max(ended, self._halvings.get(lost.name, 0))
        return self._try_again(lost.name, ready, "the worker ended", failure)

    def _try_again(self, name: str, ready: Ready, why: str, failure: Failure) -> Event:
        """Once more with half the memory, unless that has been tried."""
        memory = self.gallery.config.max_memory // 2 ** self._halvings[name]
        if memory < _LEAST_MEMORY:
            return self._fail(name, failure)
        return self._hand_out(name, ready, memory, f"{why}; once more with {memory / 1e9:.2g} GB at most")

    def _hand_out(self, name: str, ready: Ready, memory: int, why: str) -> Event:
        """Once more, next and alone."""
        try:
            data = self._rows[name].original.read()
        except CloakError as error:
            return self._fail(name, explain(error))
        ready.appendleft([Task(name, data, self.gallery.config.model_copy(update={"max_memory": memory}))])
        return Event("retry", self.tally, name, why)

    def _fail(self, name: str, failure: Failure, hashes: Hashes | None = None) -> Event:
        self._rows.pop(name, None)
        hashes = self._hashes.pop(name, hashes) or {}
        self.journal.failed(name, hashes=hashes, kind=failure.kind, message=failure.message)
        self.tally = replace(self.tally, failed=self.tally.failed + 1)
        return Event("failed", self.tally, name, failure.message, failure)

    def _counted(self, event: Event, began: float) -> Event:
        self.tally = replace(self.tally, seconds=time.monotonic() - began)
        return replace(event, tally=self.tally)


def _originals(found: Iterable[Original | LeftAlone], left: dict[str, int]) -> Iterator[Original | LeftAlone]:
    """What was found, while counting what is left alone."""
    for each in found:
        if isinstance(each, LeftAlone):
            left[each.reason] = left.get(each.reason, 0) + 1
            if not each.problem:
                continue
        yield each


def _input_sha256(original: Original) -> str | None:
    try:
        return hashlib.sha256(original.read()).hexdigest()
    except CloakError:
        return None


def _is_disk_full(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
