"""The journal of a gallery: what is to be done, what became of it and which name each result was given.

SQLite in write-ahead mode; a row says "done" only after its files are on the disk under their names. One run writes at
a time (a lock of the operating system, which ends with the process however it ends).
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from cloak.errors import OutputError
from cloak.gallery.naming import certificate_name, folded
from cloak.gallery.originals import Original

__all__ = ["Journal", "Row", "open_journal"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pictures (
    name BLOB PRIMARY KEY,              -- as the file system has it
    path BLOB NOT NULL,
    member BLOB,
    run INTEGER NOT NULL,               -- the last one that found it
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    output BLOB,                        -- relative; a name once given stays
    place BLOB UNIQUE,                  -- folded name of the certificate: no two results share it on any file system
    input_sha256 TEXT,
    settings_sha256 TEXT,
    output_sha256 TEXT,
    certificate_sha256 TEXT,
    kind TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0,
    changed REAL NOT NULL DEFAULT 0     -- seconds since 1970
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS to_do ON pictures (run, state, name);
CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, started REAL NOT NULL, settings_sha256 TEXT NOT NULL);
"""

State = Literal["waiting", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Row:
    """What the journal knows about one picture; hashes are None until it is done."""

    original: Original
    state: State
    output: str | None
    input_sha256: str | None
    settings_sha256: str | None
    output_sha256: str | None
    certificate_sha256: str | None
    kind: str
    message: str
    seconds: float


class Journal:
    """An open journal; closes with the `with` block of `open_journal`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.run = 0

    def begin(self, settings_sha256: str) -> None:
        """Begin a run; pictures that it does not find again keep their rows and their files."""
        with self._connection as connection:
            connection.execute(
                "INSERT INTO runs (started, settings_sha256) VALUES (?, ?)", (time.time(), settings_sha256)
            )
            (self.run,) = connection.execute("SELECT max(number) FROM runs").fetchone()

    def find(self, originals: Iterable[Original]) -> None:
        """Note that these belong to the present run; new ones are waiting."""
        rows = [(_bytes(o.name), os.fsencode(o.path), _bytes(o.member), self.run) for o in originals]
        with self._connection as connection:
            connection.executemany(
                "INSERT INTO pictures (name, path, member, run) VALUES (?, ?, ?, ?) ON CONFLICT (name) "
                "DO UPDATE SET path = excluded.path, member = excluded.member, run = excluded.run",
                rows,
            )

    def rows(self, state: State) -> Iterator[Row]:
        """The present run's pictures of one state, in the order of names; may be changed while it is read."""
        last = b""
        while True:
            query = f"SELECT {_COLUMNS} FROM pictures WHERE run = ? AND state = ? AND name > ? ORDER BY name LIMIT 200"
            found = self._connection.execute(query, (self.run, state, last)).fetchall()
            if not found:
                return
            yield from map(_row, found)
            last = found[-1][0]

    def counts(self) -> dict[State, int]:
        """How many of the present run's pictures are in each state."""
        query = "SELECT state, count(*) FROM pictures WHERE run = ? GROUP BY state"
        found = dict(self._connection.execute(query, (self.run,)).fetchall())
        return {"waiting": found.get("waiting", 0), "done": found.get("done", 0), "failed": found.get("failed", 0)}

    def wait(self, name: str) -> None:
        """A picture is to be done, whatever became of it before; the name of its result stays."""
        self._update(name, state="waiting")

    def give_output(self, name: str, output: str) -> None:
        """Reserve a name that is not taken for the result of a picture."""
        self._update(name, output=_bytes(output), place=_bytes(folded(certificate_name(output))))

    def is_taken(self, name: str, output: str) -> bool:
        """Whether the name of a result, or one too much like it, belongs to another picture than `name`."""
        place = _bytes(folded(certificate_name(output)))
        query = "SELECT 1 FROM pictures WHERE place = ? AND name != ?"
        return self._connection.execute(query, (place, _bytes(name))).fetchone() is not None

    def done(self, name: str, *, hashes: Mapping[str, str | None], seconds: float) -> None:
        """The result lies under its name; `hashes` are those of input, settings, output and certificate."""
        stored = {f"{part}_sha256": value for part, value in hashes.items()}
        self._update(name, state="done", kind="", message="", seconds=seconds, **stored)

    def failed(self, name: str, *, hashes: Mapping[str, str | None], kind: str, message: str) -> None:
        """There is no result, and why; `hashes` are those of input and settings."""
        stored = {f"{part}_sha256": value for part, value in hashes.items()}
        self._update(name, state="failed", kind=kind, message=message, **stored)

    def _update(self, name: str, **values: object) -> None:
        names = ", ".join(f"{column} = ?" for column in [*values, "changed"])
        with self._connection as connection:
            found = connection.execute(
                f"UPDATE pictures SET {names} WHERE name = ?", (*values.values(), time.time(), _bytes(name))
            )
            assert found.rowcount == 1, name


@contextlib.contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open or create a journal for the only run that may write to it.

    Raises:
        OutputError: another run has it, it is damaged or of a later version, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"), blocking=False)
        lock.acquire()
    except Timeout as error:
        raise OutputError(f"Another run is at work on {path.parent.parent}; wait for its end or stop it.") from error
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be written ({error.strerror}); choose another folder.") from error
    with lock, _connected(path) as connection:
        yield Journal(connection)


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
            _prepare(connection, path)
            yield connection
    except sqlite3.DatabaseError as error:
        if "full" in str(error):
            raise OutputError(f"{path} cannot be written since the disk is full; free some space.") from error
        raise OutputError(
            f"The journal {path} cannot be used ({error}); move it away and run the same command again: "
            "what is finished will be recognised by its certificates."
        ) from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise OutputError(f"The journal {path} was written by a later version of artcloak; update this one.")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {_VERSION}")


_COLUMNS = (
    "name, path, member, state, output, input_sha256, settings_sha256, output_sha256, certificate_sha256, kind, "
    "message, seconds"
)


def _row(values: tuple[Any, ...]) -> Row:
    name, path, member, state, output, *rest = values
    original = Original(_text(name), Path(os.fsdecode(path)), None if member is None else _text(member))
    return Row(original, state, None if output is None else _text(output), *rest)


def _bytes(name: str | None) -> bytes | None:
    """Names may hold bytes that are no UTF-8, which Python keeps as lone surrogates and SQLite refuses as text."""
    return None if name is None else name.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
