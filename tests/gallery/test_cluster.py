"""A real Ray cluster of several nodes on this machine, whose workers and nodes are killed or hang in the middle."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak import ProtectConfig
from cloak.errors import CloakError
from cloak.failures import Failure
from cloak.gallery import Event, Gallery, LocalEngine, Worker
from cloak.gallery.tasks import Failed, Lost, Message, Task

ray = pytest.importorskip("ray", minversion="2.52")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray leaves files and processes to the garbage collector
]
CONFIG = ProtectConfig(effort="instant")
LOOPBACK = "127.0.0.2"  # Ray takes 127.0.0.1 for the address that other machines reach
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000, "node_ip_address": LOOPBACK}


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    """A cluster whose head has no core, so that nothing computes there."""
    from ray.cluster_utils import Cluster

    head = NODE | {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def cluster(started: Any) -> Any:
    """With two living nodes of one core each."""
    for node in list(started.worker_nodes):
        if not node.remaining_processes_alive():
            started.remove_node(node, allow_graceful=False)
    while len(started.worker_nodes) < 2:
        started.add_node(**NODE)
    return started


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("portfolio")
    for number in range(4):
        picture = Image.linear_gradient("L").resize((34, 26)).rotate(25 * number)
        turned = picture.transpose(Image.Transpose.ROTATE_180)
        Image.merge("RGB", (picture, turned, picture)).save(source / f"{number}.png")
    (source / "broken.png").write_bytes(b"no picture")
    return source


@pytest.fixture(scope="module")
def local_results(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    destination = tmp_path_factory.mktemp("local")
    _run(portfolio, destination, LocalEngine(workers=1, device="cpu", factory=Worker))
    return _results(destination)


def _run(source: Path, destination: Path, engine: Any) -> list[Event]:
    gallery = Gallery(str(source), str(destination), config=CONFIG, models=["tiny-flux2", "tiny-sd1"])
    with contextlib.closing(engine), gallery.opened() as opened:
        return [*opened.plan(gallery.find()), *opened.work(engine)]


def _results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.cloaked.png")}


def _dying_once(marker: Path, *, with_node: bool) -> Callable[[], Worker]:
    """Makes workers of which one is killed in the middle; a closure, so that Ray sends its code."""

    def make() -> Worker:
        class Mortal(Worker):
            def carry_out(self, tasks):  # without annotations, whose names Ray would not send
                if "2.png" in [task.name for task in tasks] and not marker.exists():
                    marker.touch()
                    os.kill(os.getppid() if with_node else os.getpid(), signal.SIGKILL)
                    time.sleep(60)  # its node takes it along
                return super().carry_out(tasks)

        return Mortal()

    return make


@pytest.mark.parametrize("with_node", [False, True], ids=["worker", "node"])
def test_a_killed_worker_or_node_leaves_the_bytes_of_the_local_run(
    cluster: Any, portfolio: Path, tmp_path: Path, local_results: dict[str, bytes], with_node: bool
) -> None:
    from cloak.gallery.cluster import RayEngine

    factory = _dying_once(tmp_path / "died", with_node=with_node)
    engine = RayEngine(workers=2, address=cluster.address, factory=factory)
    events = _run(portfolio, tmp_path / "ray", engine)
    assert (tmp_path / "died").exists()
    assert len(local_results) == 4
    assert _results(tmp_path / "ray") == local_results
    assert [event.name for event in events if event.kind == "failed"] == ["broken.png"]
    assert [event.name for event in events if event.kind == "retry"]


@pytest.mark.parametrize("with_node", [False, True], ids=["worker", "node"])
def test_a_lost_machine_is_told_from_a_worker_that_ended(cluster: Any, tmp_path: Path, with_node: bool) -> None:
    from cloak.gallery.cluster import RayEngine

    factory = _dying_once(tmp_path / "died", with_node=with_node)
    with contextlib.closing(RayEngine(workers=1, address=cluster.address, factory=factory)) as engine:
        while not engine.free():
            assert not list(engine.messages(0.2))
        engine.submit([Task(name, b"", CONFIG) for name in ("1.png", "2.png")])
        lost = _until(engine, 2)
        machines = {each.machine for each in lost if isinstance(each, Lost) and not each.alone}
        assert len(lost) == 2
        assert len(machines) == 1
        limit = time.monotonic() + (60 if with_node else 2)
        while not engine.is_gone(*machines) and time.monotonic() < limit:
            time.sleep(0.2)
        assert engine.is_gone(*machines) == with_node


def _hanging_once(marker: Path) -> Callable[[], Any]:
    """Makes workers of which one stops for ever at its first task and the others take five seconds for theirs."""

    def make() -> Any:
        class Hanging:
            def carry_out(self, tasks):
                if not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(5)
                yield Failed(tasks[0].name, Failure("Tried", str(os.getpid()), 1))

        return Hanging()

    return make


def _until(engine: Any, count: int) -> list[Message]:
    messages: list[Message] = []
    limit = time.monotonic() + 60
    while len(messages) < count and time.monotonic() < limit:
        messages += engine.messages(0.2)
    return messages


def test_a_worker_that_hangs_is_replaced_and_a_slow_one_is_not(cluster: Any, tmp_path: Path) -> None:
    from cloak.gallery.cluster import RayEngine

    engine = RayEngine(workers=1, address=cluster.address, factory=_hanging_once(tmp_path / "hung"), silence=2.0)
    with contextlib.closing(engine):
        while not engine.free():
            assert not list(engine.messages(0.2))
        engine.submit([Task("a.png", b"", CONFIG)])
        (lost,) = _until(engine, 1)
        assert isinstance(lost, Lost)
        assert (lost.name, lost.alone, engine.is_gone(lost.machine)) == ("a.png", True, False)
        while not engine.free():
            assert not list(engine.messages(0.2))
        engine.submit([Task("a.png", b"", CONFIG)])
        (answer,) = _until(engine, 1)
        assert isinstance(answer, Failed)
        engine.submit([Task("b.png", b"", CONFIG)])  # and it can be closed while a worker is busy


def test_without_room_for_a_worker_the_run_ends(cluster: Any, tmp_path: Path) -> None:
    from cloak.gallery.cluster import RayEngine

    factory = _hanging_once(tmp_path)
    with contextlib.closing(RayEngine(workers=2, address=cluster.address, factory=factory)) as engine:
        while engine.free() < 2:
            assert not list(engine.messages(0.2))
        late = RayEngine(workers=1, address=cluster.address, factory=factory, no_workers=1.0)
        with contextlib.closing(late), pytest.raises(CloakError, match="no room for a worker"):
            _until(late, 1)


def test_the_command_starts_a_ray_of_its_own_that_asks_for_a_token(portfolio: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    source = tmp_path / "list.txt"
    source.write_text(str(portfolio / "1.png"))
    command = [sys.executable, "-m", "cloak.cli", "gallery", str(source), str(tmp_path / "ray"), "--effort", "instant"]
    done = subprocess.run(
        [*command, "--engine", "ray", "--workers", "1"], check=False, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "ray").rglob("*.cloaked.png"))) == 1
    assert (tmp_path / ".ray" / "auth_token").is_file()
