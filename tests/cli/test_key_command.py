"""`cloak key`: made once, never replaced, readable to its owner only."""

import json
import os

import pytest
from PIL import Image

from cloak.cli import engine
from cloak.targets import STYLE_NAMES, painted_style

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")


def test_a_new_key_is_used_as_it_was_made(folder, cloak_command):
    ran = cloak_command("key", "new", "my.key", "--style", "mosaic", "--json")
    (row,) = ran.rows
    assert (ran.code, row["file"], row["style"]) == (0, "my.key", "mosaic")
    assert "glaze" in row["methods"]
    assert "artcloak" not in row["methods"]
    assert json.loads((folder / "my.key").read_text()) == {"schema_version": 1, "style": "mosaic"}
    assert "Keep it to yourself" in ran.err
    ran = cloak_command("key", "show", "my.key")
    assert (ran.code, ran.out) == (0, "my.key: mosaic\n")
    assert "Others push away from the original" in ran.err


def test_chance_chooses_any_style(folder, cloak_command, monkeypatch):
    monkeypatch.setattr("secrets.choice", lambda names: names[-1])
    assert cloak_command("key", "new", "my.key", "--json").rows[0]["style"] == STYLE_NAMES[-1]


def test_the_style_farthest_from_a_folder_is_taken(folder, cloak_command):
    (folder / "art" / "old").mkdir(parents=True)
    for place, name in (("art/a.png", "mosaic"), ("art/old/b.PNG", "halftone")):
        pixels = (painted_style(name).picture[0].permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / place)
    (folder / "art" / "broken.jpg").write_bytes(b"none")
    (folder / "art" / "notes.txt").write_text("not a picture")
    ran = cloak_command("key", "new", "my.key", "--from", "art", "--json")
    assert ran.code == 0
    assert ran.rows[0]["style"] not in ("mosaic", "halftone")
    assert ran.err.count("Left out") == 1


@posix
def test_only_the_owner_can_read_it_whatever_the_umask(folder, cloak_command):
    before = os.umask(0)
    try:
        assert cloak_command("key", "new", "my.key", "--json").rows[0]["private"]
    finally:
        os.umask(before)
    assert (folder / "my.key").stat().st_mode & 0o777 == 0o600
    (folder / "my.key").chmod(0o644)
    ran = cloak_command("key", "show", "my.key", "--json")
    assert not ran.rows[0]["private"]
    assert "chmod 600" in ran.err


@pytest.mark.parametrize("link", [False, True])
def test_what_exists_is_never_replaced(folder, cloak_command, link):
    (folder / "my.key").symlink_to("gone") if link else (folder / "my.key").write_text("mine")
    ran = cloak_command("key", "new", "my.key")
    assert ran.code == 1
    assert "never replaced" in ran.err
    assert link or (folder / "my.key").read_text() == "mine"
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "my.key", "--style", "mosaik"), "did you mean mosaic"),
        (("new", "my.key", "--style", "mosaic", "--from", "."), "not both"),
        (("new", "my.key", "--from", "gone"), "no folder"),
        (("new", "my.key", "--from", "."), "no picture"),
        (("show", "my.key"), "Cannot read the key"),
    ],
)
def test_wrong_usage_makes_no_key(folder, cloak_command, arguments, said):
    ran = cloak_command("key", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert not (folder / "my.key").exists()


def test_a_folder_of_many_is_sampled(folder, picture, monkeypatch, cloak_command):
    for number in range(130):
        picture(f"art/{number}.png")
    seen = []
    monkeypatch.setattr(engine, "farthest_style", lambda pictures: seen.extend(pictures) or "wash")
    assert cloak_command("key", "new", "my.key", "--from", "art").code == 0
    assert 40 <= len(seen) <= 64


@pytest.mark.parametrize(("method", "follows"), [("artcloak", False), ("glaze", True)])
def test_a_key_that_changes_nothing_is_said(folder, picture, stub, cloak_command, method, follows):
    picture("a.png")
    cloak_command("key", "new", "my.key")
    ran = cloak_command("protect", "a.png", "--key", "my.key", "--method", method)
    assert ran.code == 0
    assert ("the key changes nothing" in ran.err) != follows
    assert "the key changes nothing" not in cloak_command("protect", "a.png", "--overwrite").err
