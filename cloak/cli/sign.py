"""`cloak sign`: Content Credentials that refuse training, signed by the artist."""

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cloak.cli import engine
from cloak.cli.console import say
from cloak.cli.failures import explain
from cloak.cli.outcome import Outcome, exit_code, print_json
from cloak.destination import certificate_path
from cloak.errors import CloakError, OutputError, UsageError

__all__ = ["sign"]


def sign(
    *files: Path,
    certificate: Path,
    key: Path,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Sign cloaked pictures with Content Credentials (C2PA) that do not allow training and data mining.

    A picture that `cloak protect` wrote is signed in place and its certificate is kept true; others need -o or
    --overwrite. Needs the extra `provenance`; nothing is sent anywhere. The password of an encrypted key is taken from
    ARTCLOAK_SIGN_PASSWORD.

    Args:
        files: Pictures (PNG, JPEG, WebP, TIFF, AVIF).
        certificate: PEM file with your certificate, then those that issued it.
        key: PEM file with your private key.
        output: File or folder to write to; without it, in place.
        overwrite: Replace outputs that exist already, and sign in place what has no certificate beside it.
        as_json: Print one JSON object per picture.
    """
    if not files:
        raise UsageError("Give at least one picture, for example `cloak sign a.cloaked.png --certificate ...`.")
    if len(files) > 1 and output is not None and not output.is_dir():
        raise UsageError(f"-o {output} is no folder, but there are {len(files)} pictures; give an existing folder.")
    outcomes = []
    for file in files:
        outcome, credentials = _attempt(file, output, certificate=certificate, key=key, overwrite=overwrite)
        outcomes.append(outcome)
        if as_json:
            print_json({**outcome.as_json(), "credentials": credentials})
        failure = outcome.failure
        say(failure.message if failure else f"Signed: {outcome.output}", style="red" if failure else "green")
    return exit_code(outcomes)


def _attempt(
    file: Path, output: Path | None, *, certificate: Path, key: Path, overwrite: bool
) -> tuple[Outcome, dict[str, Any] | None]:
    """What became of one picture, and its credentials as they read."""
    destination = file if output is None else output / file.name if output.is_dir() else output
    try:
        _check_place(file, destination, overwrite=overwrite)
        password = os.environ.get("ARTCLOAK_SIGN_PASSWORD") or None
        credentials = engine.sign_file(file, destination, certificate=certificate, key=key, password=password)
    except CloakError as error:
        return Outcome(str(file), "failed", failure=explain(error)), None
    return Outcome(str(file), "done", output=destination), credentials


def _check_place(file: Path, destination: Path, *, overwrite: bool) -> None:
    """What is not an output of ours is replaced only when asked to."""
    if overwrite:
        return
    if destination == file:
        if file.is_file() and not engine.has_certificate(file):
            raise OutputError(
                f"{file} has no certificate beside it that is about it, so it may be your original; give -o, or "
                "--overwrite to sign it in place."
            )
        return
    for path in (destination, certificate_path(destination)):
        if os.path.lexists(path):
            raise OutputError(f"{path} exists already; give --overwrite to replace it, or another place with -o.")
