import itertools
import os

from hypothesis import given
from hypothesis import strategies as st

from cloak.gallery.naming import certificate_name, folded, result_names


def _first(name: str, count: int = 1) -> list[str]:
    return list(itertools.islice(result_names(name, "keep"), count))


def test_results_are_named_as_those_of_protect_and_then_ever_longer() -> None:
    assert _first("x/a.PNG", 3) == ["x/a.cloaked.PNG", "x/a.PNG.cloaked.PNG", "x/a.PNG.2.cloaked.PNG"]
    assert next(result_names("a.png", "jpeg")) == "a.cloaked.jpg"
    assert certificate_name("x/a.cloaked.png") == "x/a.cloaked.json"


def test_names_that_some_file_system_takes_for_one_are_folded_to_one() -> None:
    assert folded("A\u0308.png") == folded("\u00e4.PNG") == folded("Ä.png")
    assert folded("straße.png") == folded("STRASSE.png")
    assert folded("a.png") != folded("b.png")


@given(
    st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=400).filter(lambda s: s not in {".", ".."})
)
def test_names_are_short_enough_and_differ(stem: str) -> None:
    names = _first(f"{stem}.png", 5)
    assert len({folded(certificate_name(name)) for name in names}) == 5
    assert all(len(os.fsencode(name.encode("utf-8", "replace").decode())) <= 240 for name in names)
