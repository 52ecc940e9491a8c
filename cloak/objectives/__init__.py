"""One loss per picture; lower means better protected."""

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.objectives.decoded_style import DecodedStyle
from cloak.objectives.decoded_untargeted import DecodedUntargeted
from cloak.objectives.encoder_target import EncoderTarget
from cloak.objectives.encoder_untargeted import EncoderUntargeted
from cloak.objectives.latent_style import LatentStyle
from cloak.objectives.multi_layer import MultiLayer
from cloak.objectives.weighted import WeightedSum

__all__ = [
    "OBJECTIVES",
    "DecodedStyle",
    "DecodedUntargeted",
    "EncoderTarget",
    "EncoderUntargeted",
    "LatentStyle",
    "MultiLayer",
    "Objective",
    "WeightedSum",
]
