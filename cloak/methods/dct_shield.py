"""DCT-Shield: an encoder attack that lives in what JPEG keeps."""

from collections.abc import Sequence

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import EncoderUntargeted
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.transforms import JPEG, Transform

__all__ = ["DCTShield"]


@peer(
    "dct-shield",
    summary="the latent moves away from the original's, as seen after JPEG of quality 95",
    reference="DCT-Shield 2025, ICCV",
    licence="no code released",
    published=Published(
        linf=8, steps=1000, step=0.8, parts="encoder_untargeted; JPEG 95", note="one JPEG quantisation step"
    ),
)
class DCTShield(Peer):
    """max ||E(JPEG(x)) - E(x0)||.

    The paper moves quantised JPEG coefficients by at most one step each, in steps of 0.1; here pixels move within the
    budget and the loss looks at them through JPEG of the same quality. The bound of 8 is ours.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        return EncoderUntargeted(surrogate, original)

    def transforms(self) -> Sequence[tuple[Transform, float]]:
        return [(JPEG((95, 95)), 1.0)]
