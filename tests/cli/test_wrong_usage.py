"""Exit code 2: what was wrong is said in one sentence, without a traceback."""

import pytest

CASES = {
    "no input": ([], "Give at least one picture"),
    "unknown option": (["a.png", "--strenght", "strong"], "Did you mean --strength"),
    "unknown choice": (["a.png", "--strength", "brutal"], "'subtle', 'balanced' or 'strong'"),
    "not a number": (["a.png", "--seed", "x"], "--seed"),
    "below the limit": (["a.png", "--quality", "10"], "--quality: input should be greater than or equal to 50"),
    "not a size": (["a.png", "--max-memory", "4 bananas"], "Not a memory size: '4 bananas'"),
    "one file for two inputs": (["a.png", "b.png", "-o", "c.png"], "names one file, but there are 2 inputs"),
    "format against suffix": (["a.png", "-o", "b.jpg", "--format", "png"], "contradict"),
    "stdin twice": (["-", "-"], "only once"),
    "stdin and a file": (["-", "a.png"], "Only one picture can go to standard output"),
    "picture and JSON": (["a.png", "-o", "-", "--json"], "cannot both go to standard output"),
    "stdin into a folder": (["-", "-o", "out/"], "has no name"),
}


@pytest.mark.parametrize(("arguments", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_usage(stub, picture, cloak_command, arguments, message):
    picture("a.png"), picture("b.png")
    ran = cloak_command("protect", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert not stub.calls


def test_unknown_command_is_wrong_usage(cloak_command):
    ran = cloak_command("protec")
    assert ran.code == 2
    assert 'Did you mean "protect"' in ran.err


def test_wrong_setting_in_the_environment_is_named(stub, picture, cloak_command, monkeypatch):
    picture("a.png")
    monkeypatch.setenv("ARTCLOAK_EFFORT", "heroic")
    ran = cloak_command("protect", "a.png")
    assert ran.code == 2
    assert "from ARTCLOAK_EFFORT" in ran.err
