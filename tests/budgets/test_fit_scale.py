import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloak.budgets import fit_scale


class Recorded:
    """Remembers what was evaluated."""

    def __init__(self, share):
        self.share, self.seen = share, {}

    def __call__(self, scale):
        assert 0 <= scale <= 1
        self.seen[scale] = self.share(scale)
        return self.seen[scale]


GROWTHS = {
    "linear": lambda s: s,
    "quadratic": lambda s: s**2,
    "power 1.4": lambda s: s**1.4,
    "power 3": lambda s: s**3,
    "mixed": lambda s: 0.1 * s + 0.9 * s**2,
}


@pytest.mark.parametrize("growth", GROWTHS.values(), ids=GROWTHS)
@pytest.mark.parametrize("whole", [1.01, 1.5, 4, 30, 300])
def test_arrives_just_below_the_cap(growth, whole):
    share = Recorded(lambda s: whole * growth(s))
    scale = fit_scale(share)
    assert share.seen[scale] <= 1
    assert share.seen[scale] > 0.93
    assert len(share.seen) <= 9


@pytest.mark.parametrize("whole", [0, 0.2, 1])
def test_all_of_it_where_it_fits(whole):
    share = Recorded(lambda s: whole * s)
    assert fit_scale(share) == 1
    assert len(share.seen) == 1


@pytest.mark.parametrize("edge", [0.05, 0.3, 0.62, 0.97])
def test_a_step_is_found(edge):
    share = Recorded(lambda s: 0.5 if s <= edge else 3.0)
    scale = fit_scale(share)
    assert share.seen[scale] <= 1
    assert edge / 2 < scale <= edge


@pytest.mark.parametrize("value", [1.2, 50, math.inf, math.nan])
def test_nothing_where_nothing_holds(value):
    assert fit_scale(lambda _: value) == 0


@settings(max_examples=60, deadline=None)
@given(
    whole=st.floats(0, 1e4),
    power=st.floats(0.5, 3),
    base=st.floats(0, 2),
    ripple=st.floats(0, 0.2),
    tries=st.integers(1, 12),
)
def test_what_is_returned_was_evaluated_and_held(whole, power, base, ripple, tries):
    share = Recorded(lambda s: base + whole * s**power * (1 + ripple * math.sin(40 * s)))
    scale = fit_scale(share, tries=tries)
    assert len(share.seen) <= tries + 1
    if scale:
        assert share.seen[scale] <= 1
    else:
        assert all(value > 1 for at, value in share.seen.items() if at > 0)
