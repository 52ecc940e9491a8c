"""The text space by itself: the picture's embedding goes from the words of its own style to those of the target's."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import TextContrast
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["TextContrastMethod"]


@peer(
    "text-contrast",
    summary="the picture's embedding goes from the words of its own style to those of the target's",
    reference="ours; the space is that of Radford et al. 2021 (CLIP), arXiv 2103.00020",
    licence="own",
    requires=TextContrast.requires,
    published=Published(linf=8, steps=100, step=1, parts="text_contrast", note="ours"),
)
class TextContrastMethod(Peer):
    """Moves what a caption or a CLIP-guided filter would say about the picture; the latent is not looked at."""

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        return TextContrast(surrogate, original, target=target, own=self.style)
