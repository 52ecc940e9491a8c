import pytest
import torch

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf
from cloak.errors import UnknownNameError, UsageError
from cloak.objectives import OBJECTIVES, DecodedPalette, DecodedUntargeted, ScoreDistillation, WeightedSum
from cloak.surrogates import load_surrogate
from cloak.targets import Target, painted_style
from cloak.testing import toy_picture, toy_surrogate
from cloak.toy_pipelines import write_toy_pipeline

SIZES = [(48, 64), (33, 47), (8, 9)]


@pytest.fixture(params=OBJECTIVES.names())
def kind(request):
    return OBJECTIVES.get(request.param).value


@pytest.fixture(scope="module", autouse=True)
def pipeline(tmp_path_factory):
    """A whole model, for objectives that an autoencoder is not enough for."""
    build.folder = write_toy_pipeline(tmp_path_factory.mktemp("toy") / "miniature", "miniature")


def model_for(kind):
    return toy_surrogate() if kind.requires <= {"encode", "decode"} else load_surrogate(build.folder)


def build(kind, original, surrogate=None, target=None):
    target = (target or painted_style("mosaic")) if kind.needs_target else None
    return kind(surrogate or model_for(kind), original, target=target)


def near(original, seed=1):
    noise = torch.rand(original.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    return (original + 0.03 * noise).clamp(0, 1)


@pytest.mark.parametrize("size", SIZES)
def test_one_finite_value_and_gradient_for_each_picture(kind, size):
    original = toy_picture(*size, batch=2)
    loss = build(kind, original)
    x = near(original).requires_grad_()
    values = loss(x)
    assert values.shape == (2,)
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    (gradient,) = torch.autograd.grad(values.sum(), x)
    assert gradient.shape == x.shape
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


def test_the_original_itself_has_a_finite_gradient(kind):
    original = toy_picture(48, 64)
    x = original.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(build(kind, original)(x).sum(), x)
    assert gradient.isfinite().all()


def test_pictures_of_a_batch_have_their_own_value(kind):
    original = toy_picture(48, 64, batch=2)
    x = near(original)
    together = build(kind, original)(x)
    alone = torch.cat([build(kind, original[i : i + 1])(x[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5)


def test_the_value_depends_on_nothing_but_the_picture(kind):
    original = toy_picture(48, 64)
    loss = build(kind, original)
    x = near(original)
    first = loss(x)
    loss(near(original, seed=2))
    assert torch.equal(loss(x), first)
    assert torch.equal(build(kind, original)(x), first)


def test_a_few_steps_lower_it_further_than_noise_does(kind):
    if kind is ScoreDistillation:
        pytest.skip("its gradient leaves out a part, so its value need not fall; see test_denoiser_objectives.py")
    original = toy_picture(48, 64)
    loss = build(kind, original)
    attack = PGD(Linf(8 / 255), config=PGDConfig(steps=6), generator=torch.Generator().manual_seed(0))
    cloaked = attack(original, loss)
    noise = (original + 8 / 255 * (2 * (near(original) > original).float() - 1)).clamp(0, 1)
    with torch.no_grad():
        assert loss(cloaked) < loss(original) - 1e-4
        assert loss(cloaked) < loss(noise)


class Counted:
    """Counts how often and on how many pictures a surrogate's hook is used."""

    def __init__(self, surrogate, hook, monkeypatch):
        self.pictures = 0
        called = getattr(surrogate, hook)

        def counted(x):
            self.pictures += len(x)
            return called(x)

        monkeypatch.setattr(surrogate, hook, counted)


def entrance(kind):
    """The hook through which such an objective looks at a picture."""
    if "encode" not in kind.requires:
        return "_embed_image"
    return "_encode" if "denoise" in kind.requires else "_features"


def test_what_depends_on_the_original_alone_is_computed_once(kind, monkeypatch):
    surrogate = model_for(kind)
    counted = Counted(surrogate, entrance(kind), monkeypatch)
    original = toy_picture(48, 64)
    loss = build(kind, original, surrogate)
    assert counted.pictures <= 2
    for _ in range(3):
        counted.pictures = 0
        loss(near(original))
        assert counted.pictures == 1


def test_a_target_that_is_the_picture_itself_gives_finite_values(kind):
    original = toy_picture(48, 64)
    loss = build(kind, original, target=Target("itself", original))
    x = near(original).requires_grad_()
    values = loss(x)
    (gradient,) = torch.autograd.grad(values.sum(), x)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_a_missing_capability_is_named(kind):
    lacking = toy_surrogate(name="half", decodes=False)
    missing = sorted(kind.requires - {"encode"})
    if not missing:
        assert build(kind, toy_picture(), lacking)(near(toy_picture())).isfinite().all()
        return
    with pytest.raises(UsageError, match=f"{kind.__name__} needs {', '.join(missing)}, which half cannot do"):
        build(kind, toy_picture(), lacking)


def test_a_missing_target_is_named(kind):
    if kind.needs_target:
        with pytest.raises(UsageError, match=f"{kind.__name__} needs a target style"):
            kind(model_for(kind), toy_picture())
    else:
        assert kind(model_for(kind), toy_picture()).target is None


def test_entries_say_the_same_as_their_classes(kind):
    (entry,) = [entry for entry in OBJECTIVES if entry.value is kind]
    assert entry.summary
    assert entry.requires == kind.requires
    with pytest.raises(UnknownNameError, match=entry.name):
        OBJECTIVES.get(entry.name[:-1])


def test_objectives_towards_a_target_begin_at_one_and_reach_zero_there():
    original, target = toy_picture(64, 64), painted_style("waves")
    for name in ("decoded_style", "encoder_target", "latent_style", "multi_layer"):
        entry = OBJECTIVES.get(name)
        loss = entry.value(toy_surrogate(), original, target=target)
        assert float(loss(original)) == pytest.approx(1, abs=1e-3), entry.name
        if entry.name != "decoded_style":  # which compares what is seen with the target itself
            assert float(loss(target.at(original.shape))) == pytest.approx(0, abs=1e-3), entry.name


class Clear:
    """A model that sees what is there."""

    capabilities = frozenset({"encode", "decode"})

    def see(self, x):
        return x


def test_all_palettes_move_towards_purple_but_purple_ones():
    purple = torch.tensor([0.5, -1.0, 0.5]).view(1, 3, 1, 1)
    for tint, sign in ((0.0, 1), (-0.1, 1), (0.1, -1)):
        original = toy_picture(64, 64).mean(1, keepdim=True) * 0.5 + 0.25 + tint * purple
        loss = DecodedPalette(Clear(), original)
        assert float(loss(original)) == pytest.approx(0, abs=1e-6)
        assert float(loss(original + 0.01 * sign * purple)) == pytest.approx(-0.01 * float(purple.norm()), rel=1e-3)


def test_a_shift_of_all_colours_counts_by_half():
    original = toy_picture(64, 64)
    values = [DecodedUntargeted(Clear(), original, uniform=share)(original + 0.1) for share in (0, 0.5, 1)]
    torch.testing.assert_close(torch.cat(values), torch.tensor([0.0, -0.05, -0.1]), rtol=0, atol=1e-4)


def test_weighted_sums():
    x = toy_picture(8, 8, batch=2)
    total = WeightedSum([lambda p: p.mean((1, 2, 3)), lambda p: p.amax((1, 2, 3))], [2.0, -1.0])
    torch.testing.assert_close(total(x), 2 * x.mean((1, 2, 3)) - x.amax((1, 2, 3)))
    with pytest.raises(ValueError, match="1 losses need as many weights, got 2"):
        WeightedSum([lambda p: p], [1.0, 2.0])
