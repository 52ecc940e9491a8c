"""The command line: one file per command; `main` composes them, `engine` leads to the rest."""

__all__: list[str] = []
