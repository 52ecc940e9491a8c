"""The flagship: change what the models see, robustly."""

from collections.abc import Sequence

from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import METHODS, Loss, Method
from cloak.objectives import DecodedUntargeted, EncoderUntargeted, WeightedSum
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.transforms import JPEG, Blur, Identity, Noise, Resize, Transform

__all__ = ["Artcloak"]

_ENCODER_ONLY_WEIGHT = 0.01  # such a model's loss is a ratio of about 0.5, a decoded change is about 0.05


@METHODS.register(
    "artcloak",
    summary="through encoder and decoder: colour, texture and line of what the model sees move away from the original",
    requires=frozenset({"encode"}),
)
class Artcloak(Method):
    """`decoded_untargeted` where a model decodes, `encoder_untargeted` where it does not, through likely processing.

    Chosen by measurement: see docs/effect.md for the comparison with the other objectives.
    """

    batches = True

    def loss(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss | None:  # noqa: ARG002
        if "decode" in surrogate.capabilities:
            return DecodedUntargeted(surrogate, original)
        return WeightedSum([EncoderUntargeted(surrogate, original)], [_ENCODER_ONLY_WEIGHT])

    def transforms(self) -> Sequence[tuple[Transform, float]]:
        return [(Identity(), 0.2), (JPEG(), 0.4), (Resize(), 0.15), (Blur(), 0.1), (Noise(), 0.15)]

    def optimiser(self, steps: int) -> PGDConfig:
        patience = max(40, steps // 3)  # only long runs have a plateau to find
        return PGDConfig(steps=steps, optimiser="sign", momentum=0.9, smoothing=0.7, patience=patience)
