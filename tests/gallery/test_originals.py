import os
import stat
import zipfile
from pathlib import Path

import pytest

from cloak.errors import InputError, UsageError
from cloak.gallery import LeftAlone, Original, find_originals
from cloak.gallery.originals import find_among


def _found(source: Path | str, skip: Path | None = None) -> tuple[list[str], dict[str, str]]:
    """Names of pictures, and what is left alone with the reason."""
    found = list(find_originals(str(source), skip=skip))
    pictures = [each.name for each in found if isinstance(each, Original)]
    return pictures, {each.name: each.reason for each in found if isinstance(each, LeftAlone)}


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_folders_are_walked_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", "c/d/e.tiff"):
        _touch(tmp_path / name)
    assert _found(tmp_path)[0] == ["a.webp", "b/1.jpg", "b/2.PNG", "c/d/e.tiff"]


def test_other_files_are_left_alone_with_a_reason(tmp_path: Path) -> None:
    for name in ("notes.txt", "a.cloaked.png", ".hidden.png", "README", "Thumbs.db", ".thumbnails/a.png", "a.gif"):
        _touch(tmp_path / name)
    pictures, left = _found(tmp_path)
    assert not pictures
    assert left == {
        ".hidden.png": "hidden file",
        "README": "file without extension",
        "Thumbs.db": "hidden file",
        "a.cloaked.png": "looks cloaked already",
        "a.gif": ".gif file",
        "notes.txt": ".txt file",
    }


def test_the_folder_of_the_results_is_left_out(tmp_path: Path) -> None:
    _touch(tmp_path / "a.png")
    _touch(tmp_path / "cloaked" / "b.png")
    assert _found(tmp_path, skip=tmp_path / "cloaked")[0] == ["a.png"]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = _touch(tmp_path / "secret" / "s.png")
    root = tmp_path / "root"
    _touch(root / "a.png")
    (root / "inside.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    (root / "loop").symlink_to(root)
    (root / "dangling.png").symlink_to(root / "nothing.png")
    pictures, left = _found(root)
    assert pictures == ["a.png", "inside.png"]
    assert left["out.png"] == "link that leads out of the folder"


def test_what_is_not_a_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert _found(tmp_path) == ([], {"pipe.png": "not an ordinary file"})


def test_names_of_any_script_and_odd_bytes_survive(tmp_path: Path) -> None:
    names = ["картина.png", "絵.png", "e\u0301.png", "a b'\"\n.png", os.fsdecode(b"odd\xff\xfe.png")]
    for name in names:
        _touch(tmp_path / name)
    assert sorted(_found(tmp_path)[0]) == sorted(names)


def test_archives_are_looked_into(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "book.cbz", "w") as packed:
        packed.writestr("b/2.png", b"two")
        packed.writestr("1.jpg", b"one")
        packed.writestr("__MACOSX/1.jpg", b"rubbish")
        packed.writestr("inner.zip", b"PK")
    pictures, left = _found(tmp_path)
    assert pictures == ["book.cbz/1.jpg", "book.cbz/b/2.png"]
    assert left == {"book.cbz/inner.zip": "archive in an archive"}
    first, second = (each for each in find_originals(str(tmp_path / "book.cbz")) if isinstance(each, Original))
    assert (first.name, first.read(), second.read()) == ("1.jpg", b"one", b"two")


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "C:\\a.png", "..\\a.png", "//host/a.png"])
def test_members_never_lead_out_of_an_archive(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as packed:
        packed.writestr(name, b"x")
    pictures, left = _found(tmp_path / "evil.zip")
    assert not pictures
    assert set(left.values()) == {"member with a path that leads out of the archive"}


def test_links_in_archives_are_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(entry, "/etc/passwd")
    assert _found(tmp_path / "a.zip")[1] == {"link.png": "link in an archive"}


def test_a_member_larger_than_announced_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", bytes(100_000))
    data = path.read_bytes()
    path.write_bytes(data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    (original,) = (each for each in find_originals(str(path)) if isinstance(each, Original))
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        original.read()


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    _touch(tmp_path / "a.zip")
    assert list(find_originals(str(tmp_path))) == [
        LeftAlone("a.zip", "archive that cannot be opened (File is not a zip file)", problem=True)
    ]


def test_lists_and_patterns_name_files_below_what_they_have_in_common(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png", "y/z/b.png"):
        _touch(tmp_path / name)
    listed = tmp_path / "list.txt"
    listed.write_text("# mine\nx/a.png\n\ny/z/b.png\ny/missing.png\nx/a.png\n")
    assert _found(listed) == (["x/a.png", "y/z/b.png"], {"y/missing.png": "missing"})
    assert _found(str(tmp_path / "**" / "*.png"))[0] == ["x/a.png", "y/a.png", "y/z/b.png"]
    with pytest.raises(UsageError, match="No file matches"):
        find_originals(str(tmp_path / "*.bmp"))


def test_nothing_of_that_name_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        find_originals(str(tmp_path / "nowhere"))


def test_files_that_appear_are_named_as_in_the_whole_folder(tmp_path: Path) -> None:
    paths = [_touch(tmp_path / name) for name in ("a/b.png", ".git/c.png", "out/d.png", "e.txt")]
    found = list(find_among(tmp_path, paths, skip=tmp_path / "out"))
    assert [each.name for each in found] == ["a/b.png", "e.txt"]
