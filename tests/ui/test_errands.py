"""One job of a visitor on a tab at a time, without a browser."""

from pathlib import Path

import pytest

pytest.importorskip("gradio")

from cloak_ui import jobs
from cloak_ui.errands import Errand
from cloak_ui.jobs import Desk
from cloak_ui.languages import words
from cloak_ui.limits import Limits
from cloak_ui.tasks import LookTask


class Idle:
    """A working process that never comes to an end."""

    alive = True

    def __init__(self, _: Limits) -> None: ...

    def begin(self, *_: object) -> None: ...

    def hear(self, _: float) -> None: ...

    def kill(self) -> None: ...


def test_a_second_job_is_refused_until_the_first_is_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "_Worker", Idle)
    desk, say = Desk(tmp_path / "jobs"), words("en")
    errand, other = Errand(desk, "job"), Errand(desk, "proof")
    source = tmp_path / "a.png"
    source.write_bytes(b"1")
    memory, message = errand.submit({"owner": "me"}, source, LookTask, say)
    assert message == ""
    assert errand.find({**memory, "owner": "you"}) is None
    assert other.find(memory) is None
    assert errand.find(None) is None
    same, message = errand.submit(memory, source, LookTask, say)
    assert same == memory
    assert "still at work" in message
    first = errand.find(memory)
    errand.cancel(memory)
    after, message = errand.submit(memory, source, LookTask, say)
    assert message == ""
    assert errand.find(after) not in (None, first)
    desk.close()


def test_a_refusal_forgets_what_came_to_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "_Worker", Idle)
    desk = Desk(tmp_path / "jobs")
    errand = Errand(desk, "job")
    (tmp_path / "a.png").write_bytes(b"1")
    memory, _ = errand.submit({"owner": "me"}, tmp_path / "a.png", LookTask, words("en"))
    job = errand.find(memory)
    assert job is not None
    assert errand.refuse(memory, "no")[0] == memory
    job.state = "cancelled"
    assert errand.refuse(memory, "no")[0] == {"owner": "me", "job": ""}
    desk.close()
