"""A stand-in for everything behind `cloak.cli.engine`, so that the command line is tested without models."""

import hashlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from cloak.cli import engine
from cloak.cli.main import run
from cloak.config import ProtectConfig
from cloak.errors import OutputError
from cloak.types import Step

VERDICT = "Hardly visible; what models see moved nine times as far as noise moves it."


class _Certificate:
    def __init__(self, data: bytes, figures: dict[str, Any]) -> None:
        self._content = {"verdict": VERDICT, "output": {"sha256": hashlib.sha256(data).hexdigest()}, **figures}

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        assert mode == "json"
        return self._content


@dataclass
class StubEngine:
    """Writes its input unchanged; `errors` maps the name of an input to what is raised for it.

    Args:
        errors: exceptions by file name, raised in the middle of the work.
        calls: inputs that were begun, in order.
        settings: those of the last call.
        closed: how many step streams were closed.
        created: how many protectors were made.
        figures: added to each certificate.
    """

    errors: dict[str, BaseException] = field(default_factory=dict)
    calls: list[Path | bytes] = field(default_factory=list)
    settings: ProtectConfig | None = None
    closed: int = 0
    created: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    def create(self, settings: ProtectConfig) -> "StubEngine":
        self.settings = settings
        self.created += 1
        return self

    def steps(self, source: Path | bytes, output: Path | None, *, overwrite: bool) -> Generator[Step, None, None]:
        self.calls.append(source)
        try:
            yield Step("attack", index=1, total=2, seconds=1.0, eta_seconds=1.0)
            name = source.name if isinstance(source, Path) else "-"
            if name in self.errors:
                raise self.errors[name]
            data = source.read_bytes() if isinstance(source, Path) else source
            yield Step("done", seconds=2.0, result=self._write(data, output, overwrite))
        finally:
            self.closed += 1

    def _write(self, data: bytes, output: Path | None, overwrite: bool) -> SimpleNamespace:
        certificate = _Certificate(data, self.figures)
        if output is not None:
            if output.exists() and not overwrite:
                raise OutputError(f"{output} exists already.")
            output.write_bytes(data)
            output.with_suffix(".json").write_text(json.dumps(certificate.model_dump(mode="json")))
        return SimpleNamespace(path=output, data=data, certificate=certificate)


def _plan_output(source: Path, output: Path | None, choice: str) -> Path:
    suffix = source.suffix if choice == "keep" else {"jpeg": ".jpg", "tiff": ".tif"}.get(choice, f".{choice}")
    return output or source.with_name(f"{source.stem}.cloaked{suffix}")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    """The engine replaced; nothing of torch is used."""
    stub = StubEngine()
    monkeypatch.setattr(engine, "create_protector", stub.create)
    monkeypatch.setattr(engine, "plan_output", _plan_output)
    monkeypatch.setattr(engine, "check_method", lambda *_: None)
    monkeypatch.setattr(engine, "model_names", lambda *_: ["tiny-flux2", "tiny-sd1"])
    monkeypatch.setattr(engine, "embedded_names", lambda: frozenset({"tiny-flux2", "tiny-sd1"}))
    monkeypatch.setattr(engine, "seconds_per_megapixel", lambda *_: 30.0)
    monkeypatch.setattr(engine, "device_name", lambda *_: "cpu (2 threads)")
    return stub


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def picture(folder: Path) -> Callable[[str], Path]:
    """Makes a small picture at a path within the current folder."""

    def make(name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (200, 120, 40)).save(path)
        return path

    return make


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout; fails when anything else is there."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def cloak_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line inside this process."""

    def call(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call
