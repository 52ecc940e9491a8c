"""Outputs that would be one file are refused by name before any work starts; the rest is done."""

import unicodedata

import pytest


def test_same_name_from_two_folders_into_one(stub, picture, folder, cloak_command):
    picture("a.png"), picture("x/a.png"), picture("b.png")
    ran = cloak_command("protect", "a.png", "x/a.png", "b.png", "-o", "out", "--json")
    assert ran.code == 3
    assert [row["status"] for row in ran.rows] == ["failed", "failed", "done"]
    assert "a.png and x/a.png" in ran.rows[0]["error"]["message"].replace("\\", "/")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["b.cloaked.json", "b.cloaked.png"]
    assert len(stub.calls) == 1


def test_same_stem_with_one_format(stub, picture, cloak_command):
    picture("a.png"), picture("a.jpg")
    ran = cloak_command("protect", "a.png", "a.jpg", "--format", "png")
    assert ran.code == 1
    assert "to the same file" in ran.err
    assert not stub.calls


def test_same_stem_would_share_a_certificate(stub, picture, cloak_command):
    picture("a.png"), picture("a.jpg")
    ran = cloak_command("protect", "a.png", "a.jpg")
    assert ran.code == 1
    assert "certificate" in ran.err


@pytest.mark.parametrize(
    ("first", "second"),
    [("ART.png", "art.png"), (unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png"))],
    ids=["case", "unicode form"],
)
def test_names_that_some_file_systems_take_for_one(stub, picture, cloak_command, first, second):
    picture(f"x/{first}"), picture(f"y/{second}")
    ran = cloak_command("protect", f"x/{first}", f"y/{second}", "-o", "out")
    assert ran.code == 1
    assert not stub.calls


def test_input_is_never_an_output(stub, picture, cloak_command):
    before = picture("a.png").read_bytes()
    ran = cloak_command("protect", "a.png", "-o", "a.png", "--overwrite")
    assert ran.code == 1
    assert "inputs are never changed" in ran.err
    picture("a.cloaked.png")
    ran = cloak_command("protect", "a.png", "a.cloaked.png", "--overwrite")
    assert ran.code == 3
    assert "over the input a.cloaked.png" in ran.err
    assert picture("a.png").read_bytes() == before


def test_existing_certificate_is_not_replaced(stub, picture, folder, cloak_command):
    picture("a.png")
    (folder / "a.cloaked.json").write_text("{}")
    assert cloak_command("protect", "a.png").code == 1
    assert (folder / "a.cloaked.json").read_text() == "{}"
