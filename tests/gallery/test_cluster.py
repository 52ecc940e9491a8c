"""A real Ray cluster of several nodes on this machine, of which a worker is killed in the middle."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak import ProtectConfig
from cloak.gallery import Event, Gallery, LocalEngine, Worker

ray = pytest.importorskip("ray", minversion="2.52")
CONFIG = ProtectConfig(effort="instant")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Three nodes of one core each; the test's own process does not compute."""
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100_000_000}
    started = Cluster(initialize_head=True, head_node_args={**arguments, "num_cpus": 0})
    for _ in range(2):
        started.add_node(**arguments)
    started.wait_for_nodes()
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    source = tmp_path / "portfolio"
    source.mkdir()
    for number in range(4):
        picture = Image.linear_gradient("L").resize((34, 26)).rotate(25 * number)
        Image.merge("RGB", (picture, picture.transpose(Image.Transpose.ROTATE_180), picture)).save(
            source / f"{number}.png"
        )
    (source / "broken.png").write_bytes(b"no picture")
    return source


def _run(source: Path, destination: Path, engine: Any) -> list[Event]:
    gallery = Gallery(str(source), str(destination), config=CONFIG, models=["tiny-flux2", "tiny-sd1"])
    events: list[Event] = []
    with gallery.opened() as opened:
        events += opened.plan(gallery.find())
        events += opened.work(engine)
    engine.close()
    return events


def _dying_once(marker: Path) -> Callable[[], Worker]:
    """Makes workers of which one kills its process in the middle; a closure, so that Ray sends its code."""

    def make() -> Worker:
        class Mortal(Worker):
            def carry_out(self, task):  # without annotations, whose names Ray would not send
                if task.name == "2.png" and not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().carry_out(task)

        return Mortal()

    return make


def _results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.cloaked.png")}


@pytest.mark.filterwarnings("ignore")  # Ray leaves files and processes to the garbage collector
def test_a_killed_worker_leaves_the_bytes_of_the_local_run(cluster: Any, portfolio: Path, tmp_path: Path) -> None:
    from cloak.gallery.cluster import RayEngine

    engine = RayEngine(workers=2, address=cluster.address, factory=_dying_once(tmp_path / "died"))
    events = _run(portfolio, tmp_path / "ray", engine)
    assert (tmp_path / "died").exists()
    _run(portfolio, tmp_path / "local", LocalEngine(workers=1, device="cpu", factory=Worker))
    assert len(_results(tmp_path / "ray")) == 4
    assert _results(tmp_path / "ray") == _results(tmp_path / "local")
    assert [event.name for event in events if event.kind == "failed"] == ["broken.png"]
    assert [event.name for event in events if event.kind == "retry"]
