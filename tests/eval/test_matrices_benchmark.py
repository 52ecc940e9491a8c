"""What is counted over every method and every counter-attack."""

from cloak_eval.benchmarks.matrices import experiment_table, lowest_table, tally, tally_table
from cloak_eval.metrics import Interval
from cloak_eval.summary import WORST, Attribution, Report, Row


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high, n=4)


def row(arm: str, attack: str, missed: int, gained: int = 0, points: tuple[float, float, float] = (0, 0, 0)) -> Row:
    """`missed` drawings of four are not the artist's, `gained` more than of clean pictures."""
    success, gain, shift = interval(missed / 4, 0, 1), interval(gained / 4, 0, 1), interval(*points)
    control = arm == "clean"
    return Row(arm, attack, success, None if control else gain, None if control or attack == WORST else shift, 1)


def report(rows: list[Row]) -> Report:
    untrained = Attribution("anna", "no fine-tune", interval(0.25, 0, 1), [0.25], None)
    empty = {"inconclusive": {}, "visibility": {}, "seconds": {}, "measures": [], "changes": [], "called": {}}
    return Report(results=[], rows=rows, attributions=[untrained], **empty)


CLEAN = [row("clean", "none", 0), row("clean", "blur", 1), row("clean", WORST, 0)]
NOISE = [
    row("noise balanced", "none", 0, points=(-0.01, -0.02, -0.005)),
    row("noise balanced", "blur", 1, points=(0.02, -0.01, 0.05)),
]
METHODS = [
    row("mist balanced", "none", 2, 2, (-0.1, -0.2, -0.05)),
    row("mist balanced", "blur", 0, -1, (0.1, 0.05, 0.2)),
    row("mist balanced", WORST, 0, 0),
    row("glaze balanced", "none", 0, 0, (-0.2, -0.5, 0.1)),
]


def test_pairs_are_counted_without_controls_and_without_the_worst_case() -> None:
    counted = tally(report([*CLEAN, *NOISE, *METHODS]))
    assert (counted.fewer, counted.as_many, counted.more) == (1, 1, 1)
    assert (counted.pairs, counted.most) == (3, 2)
    assert (counted.below, counted.above) == (1, 1)
    both = counted + counted
    assert (both.pairs, both.most, both.below) == (6, 2, 2)


def test_tables_name_attacks_and_show_noise_beside() -> None:
    found = report([*CLEAN, *NOISE, *METHODS])
    lines = lowest_table({"one": found, "two": report([*CLEAN, *NOISE])}).splitlines()
    assert lines[0] == "| arm | one: lowest | below / above | two: lowest | below / above |"
    assert lines[2].startswith("| noise balanced | -1.0 (-2.0 to -0.5), no attack | 1 / 0 | -1.0 (")
    assert lines[3] == "| mist balanced | -10.0 (-20.0 to -5.0), no attack | 1 / 1 | not run |  |"
    assert len(lines) == 4
    drawn = experiment_table({("one", "anna"): found}).splitlines()[2]
    assert drawn == "| one | anna | 1 | 4 | 1 | 3 | 4 | -1.0 to +2.0 |"
    counts = tally_table({("one", "anna"): found, ("two", "bert"): report([*CLEAN])}).splitlines()
    assert counts[2].startswith("| anna | 3 | 1 | 1 | 1 | 2 | 1 | 1 | `mist balanced` -10.0 (")
    assert counts[2].endswith("| -1.0 (-2.0 to -0.5), no attack |")
    assert counts[3] == "| bert | 0 | 0 | 0 | 0 | 0 | 0 | 0 | not run | not run |"
    assert counts[4] == "| all | 3 | 1 | 1 | 1 | 2 | 1 | 1 |  |  |"
