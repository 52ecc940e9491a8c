import errno
import hashlib
import os
import stat

import pytest

from cloak.errors import OutputError
from cloak.image import write_file

DATA = b"picture" * 100


def test_writes_all_bytes_and_says_what(tmp_path):
    written = write_file(DATA, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == DATA
    assert (written.path, written.size_bytes) == (tmp_path / "a.png", len(DATA))
    assert written.sha256 == hashlib.sha256(DATA).hexdigest()
    assert os.listdir(tmp_path) == ["a.png"]


def test_an_existing_file_is_refused_without_overwrite(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        write_file(DATA, path)
    assert path.read_bytes() == b"old"
    write_file(DATA, path, overwrite=True)
    assert path.read_bytes() == DATA
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_dangling_link_counts_as_existing(tmp_path):
    link = tmp_path / "a.png"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        write_file(DATA, link)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    honest = os.fsync

    def racing(handle):
        path.write_bytes(b"other")
        honest(handle)

    monkeypatch.setattr(os, "fsync", racing)
    with pytest.raises(OutputError, match="exists already"):
        write_file(DATA, path)
    assert path.read_bytes() == b"other"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name == "nt", reason="no umask")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_respect_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_file(DATA, tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "link"])
def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch, call, code, overwrite):
    path = tmp_path / "a.png"
    if overwrite:
        path.write_bytes(b"old")
    if call == ("link" if overwrite else "replace"):
        pytest.skip("not called in this case")

    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OutputError, match=r"a\.png") as caught:
        write_file(DATA, path, overwrite=overwrite)
    expected = {errno.ENOSPC: "disk is full", errno.EACCES: "may not be written"}.get(code, "cannot be written")
    assert expected in str(caught.value)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == (["a.png"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"old"


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(DATA, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links(tmp_path, monkeypatch, code):
    def unsupported(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", unsupported)
    write_file(DATA, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == DATA
    assert os.listdir(tmp_path) == ["a.png"]


def test_folders_and_bad_names(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        write_file(DATA, tmp_path)
    with pytest.raises(OutputError, match="does not exist; make it first"):
        write_file(DATA, tmp_path / "missing" / "a.png")
    with pytest.raises(OutputError, match="cannot be written"):
        write_file(DATA, tmp_path / ("x" * 300))
    with pytest.raises(OutputError, match="cannot be written"):
        write_file(DATA, tmp_path / "nul\0byte")
    assert os.listdir(tmp_path) == []
