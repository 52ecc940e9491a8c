"""What became of each input: the JSON object, the sentence and the exit code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cloak.cli.failures import PARTLY_DONE, Failure

__all__ = ["SCHEMA_VERSION", "Outcome", "exit_code", "print_json"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one input.

    Args:
        input: the input as the person wrote it.
        status: "planned" only with --dry-run.
        output: the written file, None when there is none.
        failure: why there is none.
        certificate: the certificate as JSON types.
        plan: what --dry-run found out.
    """

    input: str
    status: Literal["done", "failed", "planned"]
    output: Path | None = None
    failure: Failure | None = None
    certificate: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that --json prints."""
        found: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "input": self.input,
            "output": None if self.output is None else str(self.output),
            "status": self.status,
        }
        if self.failure is not None:
            error = self.failure
            found["error"] = {"kind": error.kind, "message": error.message, "exit_code": error.exit_code}
        if self.certificate is not None:
            found["certificate"] = self.certificate
        if self.plan is not None:
            found["plan"] = self.plan
        return found


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when all went well, 3 when some did; when none did, the code they share, else 1."""
    codes = {outcome.failure.exit_code for outcome in outcomes if outcome.failure is not None}
    if not codes:
        return 0
    if any(outcome.failure is None for outcome in outcomes):
        return PARTLY_DONE
    return codes.pop() if len(codes) == 1 else 1


def print_json(row: dict[str, Any]) -> None:
    """One JSON object on one line of stdout; plain ASCII, so that no terminal can spoil it."""
    print(json.dumps(row), flush=True)
