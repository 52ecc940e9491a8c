"""Strings, settings, commands and addresses, without a browser."""

import json
import re
import shlex
import string
from pathlib import Path
from typing import get_args

import pytest

from cloak.config import ProtectConfig
from cloak.errors import UsageError
from cloak.types import Effort, Stage, Strength

pytest.importorskip("gradio")

import cloak_ui
from cloak_ui.command import equivalent_command
from cloak_ui.estimates import seconds_for
from cloak_ui.forms import config_from
from cloak_ui.jobs import safe_name
from cloak_ui.languages import LANGUAGES, preferred_language, words
from cloak_ui.protect_callbacks import ADVANCED
from cloak_ui.server import Address, parse_auth
from cloak_ui.wording import certificate_text, duration

HOME = Path(cloak_ui.__file__ or "").parent


def strings(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((HOME / "locales" / f"{language}.json").read_text(encoding="utf-8"))
    return found


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_string_with_its_fields(language: str) -> None:
    english, other = strings("en"), strings(language)
    assert list(other) == list(english)
    assert [key for key in english if fields(other[key]) != fields(english[key])] == []


def test_every_string_that_the_code_names_is_there() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in HOME.glob("*.py"))
    named = set(re.findall(r"\b(?:say|strings)\(\s*\"([a-z_]+)\"", code))
    named |= {f"effort_{name}" for name in get_args(Effort)} | {f"stage_{name}" for name in get_args(Stage)}
    named |= {f"{kind}_{name}" for name in get_args(Strength) for kind in ("strength", "part", "visible")}
    named |= {f"setting_{name}{end}" for name in ADVANCED for end in ("", "_info")}
    assert named - set(strings("en")) == set()


def test_plain_words_only() -> None:
    assert not re.search(r"epsilon|latent|lpips|gradient|perturbation", " ".join(strings("en").values()).lower())


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "en"), ("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("fr,de-AT;q=0.4,en;q=0.9", "en"), ("x;q=oops,de", "de")],
)
def test_language_of_the_browser(header: str | None, language: str) -> None:
    assert preferred_language(header) == language


def test_duration_in_words() -> None:
    say = words("en")
    assert [duration(seconds, say) for seconds in (0.2, 80, 600, 7500)] == [
        "a moment",
        "80 seconds",
        "10 minutes",
        "2 h 5 min",
    ]


def test_time_grows_more_slowly_than_the_picture() -> None:
    times = [seconds_for(3 * side, 2 * side, effort="standard", rate=100.0) for side in (100, 408, 2000)]
    assert times[0] == pytest.approx(15, abs=1)
    assert times[1] == pytest.approx(100, abs=1)
    assert 200 < times[2] < 400


def test_settings_from_widgets() -> None:
    config = config_from({"strength": "strong", "models": ["auto"], "quality": 0, "format": "png"})
    assert config == ProtectConfig(strength="strong", format="png")
    for values in ({"models": ["/etc/passwd"]}, {"target": "/etc/passwd"}, {"quality": 3}, {"method": "none"}):
        with pytest.raises(UsageError):
            config_from(values)


def test_command_says_the_same() -> None:
    config = ProtectConfig(strength="subtle", notice=False, quality=90)
    command = shlex.split(equivalent_command("it's; rm.png", config))
    assert command == ["cloak", "protect", "it's; rm.png", "--strength", "subtle", "--no-notice", "--quality", "90"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a b.png", "a b.png"),
        (".htaccess", "htaccess"),
        ('"><img>.png', "___img_.png"),
        ("\u732b.png", "\u732b.png"),
        ("..", "picture"),
        ("a" * 300 + ".png", "a" * 80 + ".png"),
    ],
)
def test_file_names_lose_what_could_hurt(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_other_machines_need_a_password() -> None:
    assert Address(host="::1").url == "http://[::1]:7860/"
    for host in ("0.0.0.0", "192.168.1.2", "::", "example.org"):
        with pytest.raises(UsageError, match="--auth"):
            Address(host=host)
        Address(host=host, auth=("me", "long enough"))
    assert parse_auth("me:pass:word") == ("me", "pass:word")
    for wrong in ("me", ":password", "me:short"):
        with pytest.raises(UsageError, match="NAME:PASSWORD"):
            parse_auth(wrong)


def test_certificate_without_a_decoding_model_says_what_is_not_known() -> None:
    certificate = {
        "visibility": {"lpips": 0.0, "max_change": 0.0, "mean_change": 0.0},
        "effects": [{"model": "m", "sizes": [], "remains": {}}],
        "models": [{"embedded": False}],
        **{"steps": 1, "seconds": 2.0, "device": "cpu", "output": {"sha256": "abc"}},
    }
    text = certificate_text(certificate, words("en"))
    assert "not known" in text
    assert "nothing was changed" in text
    assert "stand-ins" not in text
