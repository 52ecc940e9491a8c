"""Options win over the environment, it wins over the project's file, which wins over the user's file."""

import platformdirs
import pytest

from cloak.cli.options import SETTINGS_FILE


@pytest.fixture
def files(folder):
    user = platformdirs.user_config_path("artcloak", appauthor=False)
    user.mkdir(parents=True)
    (user / SETTINGS_FILE).write_text('strength = "subtle"\neffort = "instant"\nseed = 1\nmax_memory = "1GB"\n')
    (folder / SETTINGS_FILE).write_text('strength = "strong"\neffort = "fast"\nseed = 2\n')
    return folder / SETTINGS_FILE


def test_precedence(stub, picture, files, cloak_command, monkeypatch):
    picture("a.png")
    monkeypatch.setenv("ARTCLOAK_EFFORT", "thorough")
    monkeypatch.setenv("ARTCLOAK_STRENGTH", "balanced")
    monkeypatch.setenv("ARTCLOAK_NOTICE", "false")
    assert cloak_command("protect", "a.png", "--strength", "strong").code == 0
    used = stub.settings
    assert (used.strength, used.effort, used.seed, used.max_memory) == ("strong", "thorough", 2, 10**9)
    assert used.notice is False


def test_models_come_from_a_variable_of_their_own(stub, picture, cloak_command, monkeypatch):
    picture("a.png")
    monkeypatch.setenv("ARTCLOAK_MODELS", "a/folder/of/models")
    monkeypatch.setenv("ARTCLOAK_USE_MODELS", "taesd,taef1")
    assert cloak_command("protect", "a.png").code == 0
    assert stub.settings.models == ("taesd", "taef1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('strenght = "strong"', "did you mean strength?"),
        ("strength =", "not valid TOML"),
        ("overwrite = true", "Unknown"),
    ],
)
def test_wrong_file_is_named(stub, picture, files, cloak_command, text, message):
    picture("a.png")
    files.write_text(text)
    ran = cloak_command("protect", "a.png")
    assert ran.code == 2
    assert SETTINGS_FILE in ran.err
    assert message in ran.err


def test_wrong_value_in_a_file_is_wrong_usage(stub, picture, files, cloak_command):
    picture("a.png")
    files.write_text('strength = "brutal"')
    ran = cloak_command("protect", "a.png")
    assert ran.code == 2
    assert "artcloak.toml" in ran.err


def test_other_commands_do_not_mind_the_file(files, cloak_command):
    assert cloak_command("--version").code == 0
