"""`cloak notice`: files into a folder, text for a site; somebody's robots.txt is kept."""

import os

import pytest

from cloak.notices import site_notices

NAMES = ["robots.txt", "ai.txt", ".well-known/tdmrep.json", "meta-tags.html", "no-ai.html"]


def test_a_folder_gets_every_notice_and_a_second_time_changes_nothing(folder, cloak_command):
    ran = cloak_command("notice", ".", "--site", "https://example.org", "--json")
    assert ran.code == 0
    assert [(row["input"], row["status"]) for row in ran.rows] == [(name, "done") for name in NAMES]
    written = {name: (folder / name).read_bytes() for name in NAMES}
    assert written["ai.txt"].decode() == site_notices()["ai.txt"]
    assert b"https://example.org/no-ai.html" in written[".well-known/tdmrep.json"]
    times = [os.stat(folder / name).st_mtime_ns for name in NAMES]
    assert cloak_command("notice", ".", "--site", "https://example.org").code == 0
    assert [os.stat(folder / name).st_mtime_ns for name in NAMES] == times
    assert sorted(path.name for path in folder.iterdir()) == sorted({name.split("/")[0] for name in NAMES})


def test_an_existing_robots_is_kept_and_other_files_are_refused(folder, cloak_command):
    (folder / "robots.txt").write_text("User-agent: GPTBot\nAllow: /\n")
    (folder / "ai.txt").write_text("mine")
    ran = cloak_command("notice", ".", "--json")
    assert ran.code == 3
    assert [row["status"] for row in ran.rows] == ["done", "failed", "done", "done", "done"]
    assert "--overwrite" in ran.rows[1]["error"]["message"]
    assert (folder / "ai.txt").read_text() == "mine"
    assert (folder / "robots.txt").read_text().startswith("User-agent: GPTBot\nAllow: /\n\n# BEGIN artcloak")
    assert "other rules for GPTBot" in ran.err
    assert cloak_command("notice", ".", "--overwrite").code == 0
    assert (folder / "ai.txt").read_text() == site_notices()["ai.txt"]


def test_a_damaged_robots_is_left_alone(folder, cloak_command):
    (folder / "robots.txt").write_text("# END artcloak\n")
    ran = cloak_command("notice", ".")
    assert ran.code == 3
    assert "only a part" in ran.err
    assert (folder / "robots.txt").read_text() == "# END artcloak\n"


@pytest.mark.parametrize("given", ["-", "https://example.org", "www.example.org"])
def test_without_a_folder_they_are_printed(folder, cloak_command, given):
    rows = cloak_command("notice", given, "--json").rows
    assert [row["file"] for row in rows] == NAMES
    assert ("example.org/no-ai.html" in rows[2]["text"]) == (given != "-")
    ran = cloak_command("notice", given)
    assert ran.code == 0
    assert "==> robots.txt <==\n# BEGIN artcloak" in ran.out
    assert not list(folder.iterdir())


@pytest.mark.parametrize("given", ["gone", "gone/deeper", "ftp://example.org", "a.txt", "https://"])
def test_what_is_neither_folder_nor_site_is_wrong_usage(folder, cloak_command, given):
    (folder / "a.txt").write_text("a file")
    ran = cloak_command("notice", given)
    assert ran.code == 2
    assert given in ran.err


def test_site_of_something_that_is_no_folder_is_wrong_usage(folder, cloak_command):
    assert cloak_command("notice", "https://example.org", "--site", "https://example.com").code == 2
