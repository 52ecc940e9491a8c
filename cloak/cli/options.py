"""Command-line options, environment variables and settings files, all derived from the fields of `ProtectConfig`.

Precedence: options, then ARTCLOAK_* variables, then ./artcloak.toml, then artcloak.toml in the user's settings folder.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import platformdirs
from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict
from pydantic import BeforeValidator, create_model

from cloak.cli.quantities import format_bytes, parse_bytes
from cloak.config import ProtectConfig
from cloak.errors import UnknownNameError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["SETTINGS_FILE", "ProtectOptions", "SettingsFile", "settings_of", "settings_sources"]

SETTINGS_FILE = "artcloak.toml"


def _split_names(value: Any) -> Any:
    """Names separated by commas, given once or several times."""
    if isinstance(value, str):
        value = [value]
    return [name.strip() for item in value for name in str(item).split(",") if name.strip()]


def _count_bytes(value: Any) -> Any:
    return parse_bytes(value) if isinstance(value, str) else value


def _show_names(value: Iterable[str]) -> str:
    return ",".join(value)


# How a field is written where its Python form is not what a person types; every other field needs no entry.
_SPELLINGS: dict[str, tuple[Any, ...]] = {
    # ARTCLOAK_MODELS already names the folder where models lie.
    "models": (BeforeValidator(_split_names), Parameter(env_var="ARTCLOAK_USE_MODELS", show_default=_show_names)),
    "max_memory": (BeforeValidator(_count_bytes), Parameter(show_default=format_bytes)),
}


def _annotation(name: str, kind: Any) -> Any:
    plain = Parameter(env_var=f"ARTCLOAK_{name.upper()}", show_env_var=False, negative_iterable=())
    extras = _SPELLINGS.get(name, ())
    spelled = [extra for extra in extras if isinstance(extra, Parameter)]
    validators = [extra for extra in extras if not isinstance(extra, Parameter)]
    return Annotated[(kind, Parameter.combine(plain, *spelled), *validators)]


def _derive() -> type[ProtectConfig]:
    fields = {name: (_annotation(name, field.annotation), field) for name, field in ProtectConfig.model_fields.items()}
    return create_model("ProtectOptions", __base__=ProtectConfig, **fields)  # type: ignore[no-any-return, call-overload]


if TYPE_CHECKING:
    ProtectOptions = ProtectConfig
else:
    ProtectOptions = _derive()


def settings_of(options: ProtectConfig) -> ProtectConfig:
    """The plain settings that the engine knows."""
    return ProtectConfig(**options.model_dump())


class SettingsFile:
    """A cyclopts source of settings that reads one TOML file, if it is there.

    Only the fields of `ProtectConfig` are accepted: a file found in a folder must not be able to choose what is read
    or overwritten.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        settings = self.read()
        Dict(settings, source=str(self.path), use_commands_as_keys=False)(app, commands, arguments)

    def read(self) -> dict[str, Any]:
        """The settings in the file, {} when there is no such file.

        Raises:
            UsageError: when it is not TOML or holds something that is not a setting.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"Cannot read the settings file {self.path}: {error}") from error
        try:
            settings = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"The settings file {self.path} is not valid TOML: {error}") from error
        for name in settings:
            if name.replace("-", "_") not in ProtectConfig.model_fields:
                raise UnknownNameError(f"setting in {self.path}", name, ProtectConfig.model_fields)
        return {name.replace("-", "_"): value for name, value in settings.items()}


def settings_sources() -> list[SettingsFile]:
    """Where settings are looked for, most important first; options and environment come before them."""
    user = platformdirs.user_config_path("artcloak", appauthor=False)
    return [SettingsFile(Path(SETTINGS_FILE)), SettingsFile(user / SETTINGS_FILE)]
