"""Composes the command `cloak`. It imports little at first, so that Ctrl-C is answered at once."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloak.cli.interrupt import INTERRUPTED, PromptInterrupt, received

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["create_app", "main", "run"]

_EPILOGUE = """\
Every setting of `protect` can also be given as an environment variable (ARTCLOAK_STRENGTH=strong; the models as
ARTCLOAK_USE_MODELS) or in artcloak.toml, here or in your settings folder. Options win over variables, variables over
files.

Exit codes: 0 all done, 1 nothing could be done, 2 wrong usage, 3 partly done, 4 the asked-for effect was not reached,
5 a model or extra is missing, 130 interrupted.
"""


def create_app() -> "App":
    """The cyclopts application with every command."""
    import cyclopts

    import cloak
    from cloak.cli.doctor import doctor
    from cloak.cli.eval import eval_app
    from cloak.cli.gallery import gallery
    from cloak.cli.inspect import inspect
    from cloak.cli.key import key_app
    from cloak.cli.methods import methods_app
    from cloak.cli.models import models_app
    from cloak.cli.notice import notice
    from cloak.cli.options import settings_sources
    from cloak.cli.protect import protect
    from cloak.cli.selftest import selftest
    from cloak.cli.sign import sign
    from cloak.cli.ui import ui

    app = cyclopts.App(
        name="cloak",
        help="Protects an artist's style: changes a picture, hardly visibly, so that generators learn it wrongly.",
        help_epilogue=_EPILOGUE,
        help_format="markdown",
        version=f"cloak {cloak.__version__}",
        version_flags=["--version"],
        result_action="return_value",
    )
    app.command(protect, config=settings_sources())
    app.command(gallery, config=settings_sources())
    app.command(inspect)
    app.command(models_app)
    app.command(methods_app)
    app.command(eval_app)
    app.command(selftest)
    app.command(sign)
    app.command(key_app)
    app.command(notice)
    app.command(doctor)
    app.command(ui)
    app.register_install_completion_command()
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line inside this process and return its exit code; nothing is raised but SystemExit by bugs."""
    from cloak.cli.streams import STANDARD_STREAM, silence_stdout

    try:
        tokens = [STANDARD_STREAM if argument == "-" else argument for argument in arguments]
        return _call(create_app(), tokens)
    except BrokenPipeError:
        silence_stdout()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        return _report(KeyboardInterrupt() if received() else error, arguments)


def main() -> None:
    """Entry point of the command `cloak`."""
    try:
        with PromptInterrupt():
            os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
            if not os.environ.get("ARTCLOAK_DEBUG"):
                warnings.simplefilter("ignore")
            code = run(sys.argv[1:])
            _flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        os._exit(code)  # without waiting for threads of native libraries
    sys.exit(code)


def _call(app: "App", tokens: list[str]) -> int:
    result = app(tokens, exit_on_error=False, print_error=False)
    return result if isinstance(result, int) else 0


def _report(error: BaseException, arguments: Sequence[str]) -> int:
    from cloak.cli.console import say
    from cloak.cli.failures import explain, show_details

    show_details(error)
    failure = explain(error, arguments)
    say(f"cloak: {failure.message}", style="red")
    return failure.exit_code


def _flush() -> None:
    from cloak.cli.streams import silence_stdout

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            silence_stdout()
