import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from cloak.gallery.watching import settled_files


def _next_batch(batches: Iterator[list[Path]], seconds: float = 20.0) -> list[Path]:
    end = time.monotonic() + seconds
    for batch in batches:
        if batch or time.monotonic() > end:
            return batch
    return []


def test_files_are_reported_when_they_have_stopped_growing(tmp_path: Path) -> None:
    batches = settled_files(tmp_path, settle_seconds=1.0)
    assert next(batches) == []

    def write_slowly() -> None:
        with open(tmp_path / "slow.png", "wb") as file:
            for _ in range(8):
                file.write(b"part")
                file.flush()
                time.sleep(0.3)

    writer = threading.Thread(target=write_slowly)
    began = time.monotonic()
    writer.start()
    assert _next_batch(batches) == [tmp_path / "slow.png"]
    assert time.monotonic() - began > 2.4
    assert (tmp_path / "slow.png").stat().st_size == 32
    writer.join()


def test_what_happens_while_nobody_asks_is_not_missed(tmp_path: Path) -> None:
    batches = settled_files(tmp_path, settle_seconds=0.5)
    next(batches)
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "gone.png").write_bytes(b"x")
    outside = tmp_path.parent / f"{tmp_path.name}-moved"
    outside.mkdir()
    (outside / "b.png").write_bytes(b"b")
    os.rename(outside, tmp_path / "folder")
    time.sleep(0.5)
    (tmp_path / "gone.png").unlink()
    assert _next_batch(batches) == [tmp_path / "a.png", tmp_path / "folder" / "b.png"]
