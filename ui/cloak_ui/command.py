"""The command line that does what a form says."""

import shlex

from cloak.config import ProtectConfig

__all__ = ["equivalent_command"]


def equivalent_command(name: str, config: ProtectConfig) -> str:
    """`cloak protect NAME` with every setting that differs from its default.

    >>> equivalent_command("my cat.png", ProtectConfig(strength="strong", notice=False))
    "cloak protect 'my cat.png' --strength strong --no-notice"
    """
    words = ["cloak", "protect", name]
    for field, value in config:
        if value == ProtectConfig.model_fields[field].default:
            continue
        option = field.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", ",".join(value) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)
