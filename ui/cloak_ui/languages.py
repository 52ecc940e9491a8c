"""The page's words: one JSON file for each language, English complete; the browser says which one is wanted."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio

__all__ = ["LANGUAGES", "Words", "browser_strings", "preferred_language", "words"]

_FOLDER = Path(__file__).parent / "locales"
LANGUAGES = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


class Words:
    """The strings of one language.

    Args:
        language: one of `LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._strings = _load(language)

    def __call__(self, key: str, **values: object) -> str:
        """The string `key` with `values` filled in; English where the language lacks it."""
        text = self._strings.get(key) or _load("en")[key]
        return text.format_map(values) if values else text

    def get(self, key: str, default: str) -> str:
        """The string `key`, or `default` where no language has it."""
        return self._strings.get(key) or _load("en").get(key, default)


@functools.cache
def _load(language: str) -> Mapping[str, str]:
    strings: dict[str, str] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return strings


@functools.cache
def words(language: str) -> Words:
    """The strings of a language."""
    return Words(language)


def preferred_language(accept_language: str | None) -> str:
    """The best language for an Accept-Language header, "en" when none fits.

    >>> preferred_language("fr, de-AT;q=0.8, en;q=0.5")
    'de'
    """
    wanted = []
    for part in (accept_language or "").split(",")[:20]:
        tag, _, quality = part.partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.strip().lower().split("-")[0]))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(wanted, key=lambda item: item[0]) if tag in LANGUAGES), "en")


def browser_strings() -> "gradio.I18n":
    """All languages for what the browser itself translates: labels, choices, hints."""
    import gradio

    return gradio.I18n(**{language: dict(_load(language)) for language in LANGUAGES})
