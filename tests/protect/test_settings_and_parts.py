import itertools
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from cloak import estimate
from cloak.config import ProtectConfig
from cloak.device import peak_memory, resolve_device, working_dtype
from cloak.effort import EFFORTS
from cloak.errors import UnknownNameError, UsageError
from cloak.methods import METHODS
from cloak.objectives import OBJECTIVES
from cloak.registry import Registry
from cloak.transforms import TRANSFORMS
from cloak.types import Step, check_picture

OTHER = {
    "strength": "strong",
    "effort": "fast",
    "models": ("tiny-flux2",),
    "method": "noise",
    "style": "ukiyo-e",
    "own_budget": True,
    "target": "wash",
    "key": "k.json",
    "format": "png",
    "metadata": "strip",
    "notice": False,
    "seed": 1,
    "quality": 95,
}


def test_the_digest_is_of_the_settings_alone():
    digest = ProtectConfig().digest()
    assert len(digest) == 64
    assert ProtectConfig().digest() == digest
    assert ProtectConfig.model_validate_json(ProtectConfig().model_dump_json()).digest() == digest
    assert ProtectConfig(models=["auto"]).digest() == digest
    script = "from cloak.config import ProtectConfig; print(ProtectConfig().digest())"
    elsewhere = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == digest


@pytest.mark.parametrize("field", OTHER)
def test_the_digest_tells_settings_apart(field):
    assert ProtectConfig(**{field: OTHER[field]}).digest() != ProtectConfig().digest()


@pytest.mark.parametrize(
    "settings",
    [
        {"strength": "invisible"},
        {"effort": "none"},
        {"models": ()},
        {"seed": -1},
        {"seed": 2**63},
        {"quality": 49},
        {"quality": 101},
        {"min_effect": 0},
        {"max_memory": 1000},
        {"unknown": 1},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        ProtectConfig(**settings)


def test_settings_are_described_and_frozen():
    assert all(field.description for field in ProtectConfig.model_fields.values())
    with pytest.raises(ValidationError):
        ProtectConfig().seed = 1


def test_more_effort_is_more_work():
    levels = [EFFORTS[name] for name in ("instant", "fast", "standard", "thorough")]
    for less, more in itertools.pairwise(levels):
        assert less.steps <= more.steps
        assert less.side <= more.side
        assert less.steps * less.side**2 < more.steps * more.side**2
    assert [level.battery for level in levels] == ["none", "short", "full", "full"]


def test_estimates_grow_with_the_effort():
    estimate._seconds_per_pixel.cache_clear()
    try:
        seconds = [estimate.seconds_per_megapixel(name, device="cpu") for name in EFFORTS]
    finally:
        estimate._seconds_per_pixel.cache_clear()  # it is of toy models here
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    assert working_dtype(torch.device("cpu")) in {torch.float32, torch.bfloat16}
    memory = peak_memory(torch.device("cpu"))
    assert memory is None or memory > 10_000_000
    for name, present in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not present:
            with pytest.raises(UsageError, match=f"{name}.*this machine has none"):
                resolve_device(name)


@pytest.mark.parametrize("registry", [TRANSFORMS, OBJECTIVES, METHODS], ids=lambda registry: registry.kind)
def test_registries_list_what_they_hold(registry):
    assert registry.names() == sorted(entry.name for entry in registry)
    for entry in registry:
        assert registry.get(entry.name) is entry
        assert entry.summary
        assert entry.summary[0] != " "
    with pytest.raises(UnknownNameError, match=f"Unknown {registry.kind} 'zzzzzz'; known: "):
        registry.get("zzzzzz")


def test_a_registry_refuses_a_name_twice():
    registry = Registry("thing", "cloak.methods")
    registry.register("a", summary="first")(object())
    for name in ("a", "B"):
        with pytest.raises(ValueError, match="lower case and unique"):
            registry.register(name, summary="second")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 4, 4), "must be"),
        (torch.zeros(1, 1, 4, 4), "must be"),
        (torch.zeros(1, 3, 4, 4).long(), "floating point"),
        (torch.full((1, 3, 4, 4), 1.1), r"must lie in \[0, 1\]"),
        (torch.full((1, 3, 4, 4), -0.1), r"must lie in \[0, 1\]"),
        (torch.full((1, 3, 4, 4), float("nan")), r"must lie in \[0, 1\]"),
    ],
)
def test_what_is_no_picture_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        check_picture(x, name="it")
    check_picture(torch.rand(2, 3, 4, 5))


def test_steps_are_frozen():
    with pytest.raises(AttributeError):
        Step("read").index = 1


def test_published_bounds_replace_the_strength_where_asked(quick, file_contents):
    """The change is as large as the paper allows, and the certificate says so."""
    picture = file_contents("PNG", 32, 40)
    certificate = quick(method="photoguard", own_budget=True)(picture).certificate
    assert certificate.steps == METHODS.get("photoguard").value.published.steps
    assert 10 < certificate.visibility.max_change <= 16
    assert certificate.visibility_caps["max_change"] == pytest.approx(15.3)
    with pytest.raises(UsageError, match="has no published budget"):
        quick(method="artcloak", own_budget=True)(picture)
