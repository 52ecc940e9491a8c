"""What published recipes share: plain sign steps on the picture as it is, at the paper's budget or at any other."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from torch import Tensor

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf
from cloak.errors import UsageError
from cloak.methods.base import METHODS, Loss, Method, Published
from cloak.objectives import Lessons, MovingLoss
from cloak.surrogates import Surrogate
from cloak.surrogates.adapting import Trained, Trainee
from cloak.targets import Target
from cloak.transforms import ExpectationOverTransforms, Identity, Transform

__all__ = ["DENOISE", "ENCODE", "Peer", "as_published", "peer"]

ENCODE = frozenset({"encode"})
DENOISE = frozenset({"encode", "denoise", "embed_text"})
_LONGEST_STEP = 0.25  # radii: what a paper spreads over a thousand steps must not jump when there are forty

P = TypeVar("P", bound="type[Peer]")


class Peer(Method):
    """A published recipe; subclasses give the loss, and what else differs."""

    requires: frozenset[str] = ENCODE

    @final
    def loss(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss | None:
        return self.build(surrogate, original, target) if self.requires <= surrogate.capabilities else None

    @abstractmethod
    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        """The loss for a model with everything that is required."""

    def transforms(self) -> Sequence[tuple[Transform, float]]:
        return [(Identity(), 1.0)]

    def optimiser(self, steps: int) -> PGDConfig:
        return self.sign_steps(steps)

    @final
    def sign_steps(self, steps: int, **options: Any) -> PGDConfig:
        """Constant sign steps along a path as long, in radii of the budget, as the paper's."""
        paper = self.published
        assert paper is not None  # `peer` set it
        path = min(paper.steps * paper.step / paper.linf, _LONGEST_STEP * max(1, steps))
        settings: dict[str, Any] = {"momentum": 0.0, "smoothing": 0.0, "decay": 0.0} | options
        return PGDConfig(steps=steps, travel=path, **settings)

    @final
    def moving(
        self,
        surrogate: Surrogate,
        original: Tensor,
        build: Callable[[Surrogate], Loss],
        *,
        lessons: Lessons,
        rate: float,
        part: Trained = "all",
    ) -> MovingLoss:
        """A loss through a copy of the model that learns as `lessons` say."""
        trainee = Trainee(surrogate, part=part, rate=rate, generator=self.generator)
        return MovingLoss([build(trainee.surrogate)], [trainee], original, lessons=lessons)


def peer(
    name: str, *, summary: str, reference: str, licence: str, published: Published, requires: frozenset[str] = ENCODE
) -> Callable[[P], P]:
    """Decorator that files a published recipe under `name`."""

    def decorate(kind: P) -> P:
        kind.requires, kind.published = requires, published
        METHODS.register(name, summary=summary, reference=reference, licence=licence, requires=requires)(kind)
        return kind

    return decorate


def as_published(
    method: Peer, surrogate: Surrogate, x: Tensor, target: Target | None = None, *, steps: int | None = None
) -> Tensor:
    """The picture as the paper would make it: at its own L-infinity bound, without a perceptual cap.

    Args:
        method: the recipe.
        surrogate: with the capabilities that it requires.
        x: (1, 3, H, W) in [0, 1].
        target: style to push towards, where it needs one.
        steps: instead of the paper's number.

    Returns:
        The perturbed picture in multiples of 1/255, of the shape of `x`.

    Raises:
        UsageError: the model lacks a capability.
    """
    paper = method.published
    loss = method.loss(surrogate, x, target)
    assert paper is not None  # `peer` set it
    if loss is None:
        raise UsageError(f"{surrogate.name} cannot do what the method needs: {', '.join(sorted(method.requires))}.")
    transforms = method.transforms()
    through = ExpectationOverTransforms(
        loss,
        [transform for transform, _ in transforms],
        probabilities=[chance for _, chance in transforms],
        generator=method.generator,
    )
    config = method.optimiser(paper.steps if steps is None else steps)
    return PGD(Linf(paper.linf / 255), config=config, generator=method.generator)(x, through)
