"""Many pictures of one visitor: a folder that outlives the page, protected picture by picture through the desk.

Each picture is a job of its own, so that others get their turn in between. What became of it is written down at once;
after a restart a gallery goes on with what is not done yet.

Results are named as those of `cloak.gallery`, but this is no run of it, for three reasons. Its journal can be read only
by a run that has planned, which hashes every original and result, while the page shows any gallery at once. It leaves
alone what is not called like a picture, while the page goes by the contents and tells what became of each file.
And it hears of a pause only when its engine reports something: a picture that waits for its turn among those of other
visitors would have to be reported as lost, which counts as an attempt.
"""

import json
import secrets
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, Field

from cloak.config import ProtectConfig
from cloak.errors import InputError
from cloak.gallery.naming import certificate_name, folded, result_names
from cloak.image import write_file
from cloak_ui.jobs import BusyError, Desk, Job, safe_name
from cloak_ui.limits import Limits
from cloak_ui.tasks import ProtectTask

__all__ = ["Galleries", "Gallery", "Picture"]

_JOURNAL = "gallery.json"
_WAIT_SECONDS = 0.2
_COPY_BYTES = 1 << 20


class Picture(BaseModel):
    """One picture of a gallery.

    Args:
        state: what became of it.
        output: name of the cloaked file, beside which its certificate lies.
        kind: of failure.
        message: why it failed.
        certificate: what was measured.
    """

    state: Literal["waiting", "done", "failed"] = "waiting"
    output: str | None = None
    kind: str = ""
    message: str = ""
    certificate: dict[str, Any] | None = None


class Gallery(BaseModel):
    """What is written down about a gallery; `pictures` by their path in its folder."""

    id: str
    owner: str
    config: ProtectConfig
    pictures: dict[str, Picture] = Field(default_factory=dict)

    @property
    def pending(self) -> list[str]:
        """Pictures that are neither done nor failed."""
        return [name for name, picture in self.pictures.items() if picture.state == "waiting"]


class Galleries:
    """All galleries of a page.

    Args:
        desk: carries out the jobs.
        folder: where galleries lie; what is in it is found again after a restart.
    """

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk, self.folder, self.limits = desk, folder, desk.limits
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._galleries = {gallery.id: gallery for gallery in _stored(folder, self.limits)}
        self._running: dict[str, threading.Event] = {}
        self.current: dict[str, Job] = {}
        self._lock = threading.Lock()

    def create(self, owner: str, files: Sequence[Path], config: ProtectConfig) -> Gallery:
        """Copy pictures, also those in ZIP archives, into a new gallery of this owner; an earlier one is deleted.

        Raises:
            InputError: there are too many, or an archive is damaged.
        """
        for earlier in [gallery for gallery in self._galleries.values() if gallery.owner == owner]:
            self.delete(earlier)
        gallery = Gallery(id=secrets.token_urlsafe(16), owner=owner, config=config)
        place = self.place(gallery)
        try:
            for name in _gather(files, place / "originals", self.limits):
                gallery.pictures[name] = Picture()
            if not gallery.pictures:
                raise InputError("There is no file in it; choose pictures, or a ZIP archive with pictures.")
            self._write(gallery)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._galleries[gallery.id] = gallery
        return gallery

    def find(self, owner: str, identity: str) -> Gallery | None:
        """A gallery of this owner, None when it is not his or gone."""
        gallery = self._galleries.get(identity)
        return gallery if gallery is not None and secrets.compare_digest(gallery.owner, owner) else None

    def place(self, gallery: Gallery) -> Path:
        """The folder of a gallery."""
        return self.folder / gallery.id

    def is_running(self, gallery: Gallery) -> bool:
        """Whether it goes on by itself."""
        return gallery.id in self._running

    def start(self, gallery: Gallery) -> None:
        """Go on with what is not done yet; does nothing when it does so already."""
        with self._lock:
            if gallery.id in self._running or not gallery.pending:
                return
            stop = self._running[gallery.id] = threading.Event()
        threading.Thread(target=self._run, args=(gallery, stop), name="gallery", daemon=True).start()

    def pause(self, gallery: Gallery) -> None:
        """Stop at once; the picture that was being worked on will be done anew."""
        if stop := self._running.get(gallery.id):
            stop.set()
        if job := self.current.get(gallery.id):
            self._desk.cancel(job)

    def delete(self, gallery: Gallery) -> None:
        """Stop it and delete its files."""
        self.pause(gallery)
        self._galleries.pop(gallery.id, None)
        shutil.rmtree(self.place(gallery), ignore_errors=True)

    def pack(self, gallery: Gallery) -> Path:
        """A ZIP archive of everything that is done, with the certificates."""
        results, archive = self.place(gallery) / "cloaked", self.place(gallery) / "cloaked.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for path in sorted(results.rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(results).as_posix())
        return archive

    def _run(self, gallery: Gallery, stop: threading.Event) -> None:
        try:
            for name in gallery.pending:
                if not self._protect(gallery, name, stop):
                    return
        finally:
            self._running.pop(gallery.id, None)

    def _protect(self, gallery: Gallery, name: str, stop: threading.Event) -> bool:
        """Protect one picture; whether to go on with the next one."""
        job = self._submit(gallery, name, stop)
        if job is None:
            return False
        self.current[gallery.id] = job
        if stop.is_set():  # it was asked to stop before there was anything to cancel
            self._desk.cancel(job)
        while not job.over:
            time.sleep(_WAIT_SECONDS)
        self.current.pop(gallery.id, None)
        if stop.is_set() or job.state == "cancelled":
            return False
        gallery.pictures[name] = self._kept(gallery, name, job)
        self._write(gallery)
        return True

    def _submit(self, gallery: Gallery, name: str, stop: threading.Event) -> Job | None:
        """Hand a picture in, as soon as there is room; None when it was stopped meanwhile."""
        source = self.place(gallery) / "originals" / name
        while not stop.is_set():
            try:
                return self._desk.submit(
                    gallery.owner, source, lambda copy: ProtectTask(copy, gallery.config, views=False)
                )
            except BusyError:
                time.sleep(_WAIT_SECONDS)
        return None

    def _kept(self, gallery: Gallery, name: str, job: Job) -> Picture:
        if job.failure is not None:
            return Picture(state="failed", kind=job.failure.kind, message=job.failure.message)
        taken = {folded(certificate_name(other.output)) for other in gallery.pictures.values() if other.output}
        names = result_names(name, gallery.config.format)
        output = next(each for each in names if folded(certificate_name(each)) not in taken)
        place = self.place(gallery) / "cloaked"
        (place / output).parent.mkdir(parents=True, exist_ok=True)
        write_file(job.files["picture"].read_bytes(), place / output, overwrite=True)
        read = json.loads(job.files["certificate"].read_text(encoding="utf-8"))
        read["output"]["name"] = PurePosixPath(output).name
        write_file(json.dumps(read, indent=1).encode(), place / certificate_name(output), overwrite=True)
        return Picture(state="done", output=output, certificate=read)

    def _write(self, gallery: Gallery) -> None:
        write_file(gallery.model_dump_json().encode(), self.place(gallery) / _JOURNAL, overwrite=True)


def _stored(folder: Path, limits: Limits) -> Iterator[Gallery]:
    """Galleries of an earlier run; old ones and those that were never complete are deleted."""
    for place in folder.iterdir():
        journal = place / _JOURNAL
        if journal.is_file() and time.time() - journal.stat().st_mtime < limits.gallery_seconds:
            yield Gallery.model_validate_json(journal.read_text(encoding="utf-8"))
        else:
            shutil.rmtree(place, ignore_errors=True)


def _gather(files: Sequence[Path], folder: Path, limits: Limits) -> Iterator[str]:
    """Copy files and what is in archives into a folder, under harmless and different names; yields these."""
    count, room = 0, limits.gallery_bytes
    for name, size, copy in _contents(files, limits):
        count, room = count + 1, room - size
        if count > limits.gallery_pictures or room < 0:
            raise InputError(
                f"A gallery may hold {limits.gallery_pictures} files and {limits.gallery_bytes / 1e9:g} GB; "
                "give the rest afterwards."
            )
        target = _free(folder / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(target)
        yield target.relative_to(folder).as_posix()


def _contents(files: Sequence[Path], limits: Limits) -> Iterator[tuple[str, int, Any]]:
    """Name, size and a function that copies, for each file; archives are looked into, but not archives in them."""
    for file in files:
        if file.suffix.lower() != ".zip":
            yield safe_name(file.name), file.stat().st_size, lambda target, file=file: shutil.copyfile(file, target)
            continue
        try:
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir() and not _is_rubbish(entry.filename):
                        copy = lambda target, a=archive, e=entry: _unpack(a, e, target, limits)  # noqa: E731
                        yield _safe_path(entry.filename), entry.file_size, copy
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise InputError(f"{file.name} cannot be unpacked ({error}); pack the pictures anew.") from error


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, limits: Limits) -> None:
    """Unpack one entry, never more than it announces nor more than a file may have."""
    most = min(entry.file_size, limits.max_bytes)
    with archive.open(entry) as packed, target.open("wb") as unpacked:
        while block := packed.read(min(_COPY_BYTES, most + 1)):
            most -= len(block)
            if most < 0:
                raise InputError(
                    f"{entry.filename} in the archive is too large; {limits.max_bytes / 1e6:g} MB at most."
                )
            unpacked.write(block)


def _safe_path(name: str) -> str:
    """A path in an archive, as a relative path of harmless names."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    kept = [safe_name(part) for part in parts if part not in ("/", "..", ".") and not part.endswith(":")]
    return "/".join(kept[-8:]) or "picture"


def _is_rubbish(name: str) -> bool:
    """What systems put beside pictures by themselves."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].lower() in (".ds_store", "thumbs.db", "desktop.ini")


def _free(path: Path) -> Path:
    """The path, or with a number where it is taken, also by a name that differs in case only."""
    number, free = 2, path
    taken = {other.name.lower() for other in path.parent.iterdir()} if path.parent.is_dir() else set()
    while free.name.lower() in taken:
        free = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    return free
