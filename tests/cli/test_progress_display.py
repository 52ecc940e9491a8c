"""Bars on a terminal, lines elsewhere; sizes and times as people write them."""

import sys

import pytest

from cloak.cli import progress
from cloak.cli.console import animated
from cloak.cli.progress import fraction_done, show_steps
from cloak.cli.quantities import format_bytes, format_seconds, parse_bytes
from cloak.errors import UsageError
from cloak.types import Step


@pytest.mark.parametrize(
    ("text", "count"),
    [("4GB", 4 * 10**9), ("3500MB", 35 * 10**8), ("2GiB", 2**31), ("1.5g", 15 * 10**8), ("4000000000", 4 * 10**9),
     (" 512 MiB ", 2**29), ("7b", 7)],
)  # fmt: skip
def test_parse_bytes(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "4XB", "4i", "1e9", "nan"])
def test_parse_bytes_refuses(text):
    with pytest.raises(UsageError, match="Not a memory size"):
        parse_bytes(text)


def test_quantities_are_written_for_people():
    assert [format_bytes(count) for count in (12, 4 * 10**9, 3_500_000)] == ["12 B", "4 GB", "3.5 MB"]
    expected = ["less than a second", "12 s", "3 min", "2 h 5 min"]
    assert [format_seconds(seconds) for seconds in (0.2, 12.3, 170, 7500)] == expected


def test_fraction_comes_from_the_times():
    assert fraction_done(Step("attack", seconds=3, eta_seconds=1)) == 0.75
    assert fraction_done(Step("attack", seconds=3)) is None
    assert fraction_done(Step("done")) == 1.0


def test_a_pipe_gets_plain_lines_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    assert not animated()
    with show_steps("a.png") as show:
        show(Step("attack", index=3, total=9, seconds=1, eta_seconds=20))
    assert capsys.readouterr().err == "a.png: cloaking 3/9, about 20 s left\n"


def test_a_terminal_gets_a_bar_without_colour_where_that_is_asked(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert animated()
    with show_steps("a.png") as show:
        show(Step("read"))
        show(Step("attack", seconds=1, eta_seconds=20, message="2 models"))
        show(Step("done"))
    written = capsys.readouterr().err
    assert "2 models" in written or "done" in written
    assert "\x1b[3" not in written  # no colours
