"""Widgets and settings, derived from the fields of `ProtectConfig`; nothing is copied field by field."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import gradio
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from cloak.config import ProtectConfig
from cloak.errors import UsageError
from cloak.types import Effort, Strength

__all__ = [
    "EFFORTS",
    "STRENGTHS",
    "config_from",
    "effort_widget",
    "field_widget",
    "model_choices",
    "setting_choices",
    "strength_widget",
]

EFFORTS: tuple[Effort, ...] = get_args(Effort)
STRENGTHS: tuple[Strength, ...] = get_args(Strength)


def setting_choices(name: str) -> list[str] | None:
    """What a setting may be, None where it is free.

    Free text that names files is not offered: a visitor must not be able to have files of this machine read.
    """
    if name == "method":
        from cloak.methods import METHODS

        return METHODS.names()
    if name == "target":
        from cloak.targets import STYLE_NAMES

        return ["auto", *sorted(STYLE_NAMES)]
    choices = get_args(ProtectConfig.model_fields[name].annotation)
    return list(choices) if choices and all(isinstance(choice, str) for choice in choices) else None


def model_choices() -> list[str]:
    """Models on this machine that pictures can be protected against, after "auto"."""
    from cloak.cli import engine

    rows = engine.known_models()
    return ["auto", *(row["name"] for row in rows if row["state"] != "absent" and "encode" in row["capabilities"])]


def strength_widget(strings: gradio.I18n, *, elem_id: str = "strength") -> gradio.Radio:
    """The three strengths."""
    return gradio.Radio(
        [(str(strings(f"strength_{name}")), name) for name in STRENGTHS],
        value=ProtectConfig.model_fields["strength"].default,
        label=strings("setting_strength"),
        info=strings("setting_strength_info"),
        min_width=280,
        elem_id=elem_id,
    )


def effort_widget(strings: gradio.I18n, *, elem_id: str = "effort") -> gradio.Slider:
    """A slider over `EFFORTS`."""
    return gradio.Slider(
        0,
        len(EFFORTS) - 1,
        value=EFFORTS.index(ProtectConfig.model_fields["effort"].default),
        step=1,
        label=strings("setting_effort"),
        info=strings("setting_effort_info"),
        min_width=280,
        elem_id=elem_id,
    )


def field_widget(name: str, strings: gradio.I18n, *, prefix: str = "setting-") -> gradio.components.Component:
    """The widget for one setting, with its limits, default and explanation."""
    field = ProtectConfig.model_fields[name]
    texts: dict[str, Any] = {
        "label": strings(f"setting_{name}"),
        "info": strings(f"setting_{name}_info"),
        "elem_id": f"{prefix}{name}",
    }
    if name == "models":
        return gradio.Dropdown(model_choices(), value=list(field.default), multiselect=True, **texts)
    if choices := setting_choices(name):
        return gradio.Dropdown(
            [(_choice(name, value, strings), value) for value in choices], value=field.default, **texts
        )
    if field.annotation is bool:
        return gradio.Checkbox(value=field.default, **texts)
    least, most = (None, None) if _is_optional(name) else _range(field.metadata)
    value = None if field.default is PydanticUndefined else field.default
    whole = int in (field.annotation, *get_args(field.annotation))
    return gradio.Number(value=value, minimum=least, maximum=most, precision=0 if whole else None, **texts)


def _is_optional(name: str) -> bool:
    return type(None) in get_args(ProtectConfig.model_fields[name].annotation)


def _is_unset(name: str, value: Any) -> bool:
    """Browsers turn an empty number into 0 now and then."""
    return _is_optional(name) and value == 0


def _choice(name: str, value: str, strings: gradio.I18n) -> Any:
    key = f"{name}_{value.replace('-', '_')}"
    return str(strings(key)) if key in strings.translations["en"] else value


def _range(metadata: Sequence[Any]) -> tuple[float | None, float | None]:
    least = next((item.ge for item in metadata if hasattr(item, "ge")), None)
    most = next((item.le for item in metadata if hasattr(item, "le")), None)
    return least, most


def config_from(values: Mapping[str, Any]) -> ProtectConfig:
    """Settings from what the widgets hold; empty ones keep their default.

    Raises:
        UsageError: a value is out of range, or is none that the page offers.
    """
    given = {name: value for name, value in values.items() if value not in (None, []) and not _is_unset(name, value)}
    for name, value in given.items():
        allowed = model_choices() if name == "models" else setting_choices(name)
        for one in value if isinstance(value, list) else [value]:
            if allowed is not None and one not in allowed:
                raise UsageError(f"{name}: {one!r} is not offered here; choose one of {', '.join(allowed)}.")
    if isinstance(given.get("models"), list):
        given["models"] = tuple(given["models"])
    try:
        return ProtectConfig(**given)
    except ValidationError as error:
        detail = error.errors()[0]
        raise UsageError(f"{detail['loc'][0]}: {detail['msg']}, got {detail['input']!r}.") from error
