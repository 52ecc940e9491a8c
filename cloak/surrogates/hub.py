"""The transport: what the hub has of a model, and its bytes, through huggingface_hub.

HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE mean what they mean there. Files travel over plain HTTP, because that
is what can be continued where it was cut, also after the program has ended.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloak.errors import CloakError, MissingModelError, ModelError
from cloak.surrogates.catalogue import CatalogueEntry

__all__ = ["RemoteFile", "download", "find_remote"]

ATTEMPTS = 4  # without a single new byte, before it is given up
PAUSE_SECONDS = 1.0
_BUSY = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a model as the hub describes it.

    Args:
        path: within the model, with forward slashes.
        url: where its bytes are; "" when only the copy in the hub's cache can be had.
        revision: commit that it is of.
        size: bytes.
        sha256: hexadecimal, as the hub announces it for large files, else None.
        git_sha1: hexadecimal hash as a git blob, as the hub announces it for small files, else None.
        cached: the same file in the hub's cache on this machine, else None.
    """

    path: str
    url: str
    revision: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None
    cached: Path | None = None

    @property
    def tag(self) -> str:
        """Short name of its contents, the same as long as they are the same."""
        return (self.sha256 or self.git_sha1 or self.revision)[:16]


def find_remote(entry: CatalogueEntry, path: str, revision: str) -> RemoteFile:
    """Ask the hub about a file; without a connection, its cache on this machine is asked.

    Args:
        entry: a model with a `hub_id`.
        path: one of its files.
        revision: commit or branch.

    Raises:
        MissingModelError: there is no connection, or the hub does not have it or does not give it away.
        ModelError: what answers is no hub.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    assert entry.hub_id is not None  # embedded models are not pulled
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    url = hf_hub_url(entry.hub_id, path, revision=revision, endpoint=endpoint)
    try:
        with _explained(entry, path):
            metadata = get_hf_file_metadata(url, endpoint=endpoint)
    except _NoConnectionError as error:
        return _cached_only(entry, path, revision, error)
    if not metadata.commit_hash or not metadata.etag or metadata.size is None:
        raise ModelError(
            f"What answers at {endpoint or 'the hub'} is not a model hub; check HF_ENDPOINT and the proxy."
        )
    return RemoteFile(
        path=path,
        url=url,
        revision=metadata.commit_hash,
        size=metadata.size,
        sha256=metadata.etag if re.fullmatch("[0-9a-f]{64}", metadata.etag) else None,
        git_sha1=metadata.etag if re.fullmatch("[0-9a-f]{40}", metadata.etag) else None,
        cached=_in_cache(entry.hub_id, path, metadata.commit_hash),
    )


def download(entry: CatalogueEntry, file: RemoteFile, part: Path) -> Iterator[int]:
    """Fetch what `part` lacks of a file; yields the bytes that are there. A cut connection is taken up again.

    Args:
        entry: the model.
        file: one of its files, with a `url`.
        part: where the bytes go; those that are there already are kept.

    Raises:
        MissingModelError: the connection is lost for good; `part` keeps what has come.
        OSError: `part` cannot be written.
    """
    failures = 0
    while (before := _size(part)) < file.size or not part.exists():
        try:
            with _explained(entry, file.path):
                yield from _attempt(file, part)
            cut: CloakError | None = None
        except _NoConnectionError as error:
            cut = error
        if _size(part) < file.size:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise cut or _NoConnectionError(_no_connection(entry, "the hub stopped in the middle of a file"))
            time.sleep(failures * PAUSE_SECONDS)


def _attempt(file: RemoteFile, part: Path) -> Iterator[int]:
    from huggingface_hub import constants, get_session, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, but not marked so

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have := _size(part):
        headers["Range"] = f"bytes={have}-"
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", file.url, headers=headers, timeout=timeout) as response:
        hf_raise_for_status(response)
        with part.open("ab" if response.status_code == 206 else "wb") as target:
            for chunk in response.iter_bytes():
                target.write(chunk)
                yield target.tell()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _in_cache(hub_id: str, path: str, revision: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found: Any = try_to_load_from_cache(hub_id, path, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _cached_only(entry: CatalogueEntry, path: str, revision: str, error: CloakError) -> RemoteFile:
    cached = _in_cache(str(entry.hub_id), path, revision)
    if cached is None:
        raise error
    commit = cached.parts[-1 - len(Path(path).parts)]  # the cache keeps each commit in a folder of its name
    return RemoteFile(path, "", commit, cached.stat().st_size, cached=cached)


class _NoConnectionError(MissingModelError):
    """The hub was not reached, as opposed to what it may answer."""


def _no_connection(entry: CatalogueEntry, reason: str) -> str:
    return (
        f"The hub cannot be reached ({reason}), so the model {entry.name!r} was not pulled; check the connection and "
        f"run again: cloak models pull {entry.name}"
    )


@contextmanager
def _explained(entry: CatalogueEntry, path: str) -> Iterator[None]:
    """What huggingface_hub raises becomes one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    any_transport_error: Any = HfHubHTTPError.__mro__[1]  # of whichever HTTP library this huggingface_hub uses
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise _NoConnectionError(
            f"HF_HUB_OFFLINE is set, and the hub's cache on this machine lacks {path} of {entry.name!r}; unset it and "
            f"run again: cloak models pull {entry.name}"
        ) from error
    except HfHubHTTPError as error:
        raise _refusal(entry, path, error) from error
    except any_transport_error as error:
        lines = str(error).strip().splitlines()
        raise _NoConnectionError(_no_connection(entry, lines[0] if lines else type(error).__name__)) from error


def _refusal(entry: CatalogueEntry, path: str, error: Any) -> CloakError:
    """What it means when the hub says no."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, hub_id = entry.name, entry.hub_id
    if isinstance(error, GatedRepoError):
        return MissingModelError(
            f"The hub gives {hub_id} only to people who accepted its licence on the model's page; accept it there, "
            f"sign in with `hf auth login`, and run again: cloak models pull {name}"
        )
    if isinstance(error, RepositoryNotFoundError):
        return MissingModelError(
            f"The hub has no {hub_id}, or does not show it to you; the model {name!r} was not pulled. If you may use "
            "it, sign in with `hf auth login`."
        )
    if isinstance(error, RevisionNotFoundError):
        return MissingModelError(f"The hub no longer has the revision of {hub_id} that is pinned for {name!r}.")
    if isinstance(error, EntryNotFoundError):
        return MissingModelError(
            f"The hub has no {path} in {hub_id}; only safetensors are taken, never pickled weights."
        )
    status = error.response.status_code
    if status in _BUSY:
        return _NoConnectionError(_no_connection(entry, f"it answered with status {status}"))
    return MissingModelError(
        f"The hub refused {path} of {hub_id} (status {status}); the model {name!r} was not pulled."
    )
