"""One loss per picture; lower means better protected."""

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.objectives.cross_attention import CrossAttention
from cloak.objectives.decoded_palette import DecodedPalette
from cloak.objectives.decoded_style import DecodedStyle
from cloak.objectives.decoded_untargeted import DecodedUntargeted
from cloak.objectives.denoising import Denoising
from cloak.objectives.draws import FixedDraws, RandomDraws, SelectedDraws, select_timesteps
from cloak.objectives.encoder_target import EncoderTarget
from cloak.objectives.encoder_untargeted import EncoderUntargeted
from cloak.objectives.feature_interference import FeatureInterference
from cloak.objectives.latent_contrast import LatentContrast
from cloak.objectives.latent_style import LatentStyle
from cloak.objectives.moving import Lessons, MovingLoss
from cloak.objectives.multi_layer import MultiLayer
from cloak.objectives.posterior_shift import PosteriorShift
from cloak.objectives.prompt_contrast import PromptContrast
from cloak.objectives.score_target import ScoreTarget
from cloak.objectives.sds import ScoreDistillation
from cloak.objectives.spectrum_match import SpectrumMatch
from cloak.objectives.style_direction import StyleDirection
from cloak.objectives.text_contrast import TextContrast
from cloak.objectives.through_denoiser import PROMPT, DenoiserObjective
from cloak.objectives.weighted import WeightedSum

__all__ = [
    "OBJECTIVES",
    "PROMPT",
    "CrossAttention",
    "DecodedPalette",
    "DecodedStyle",
    "DecodedUntargeted",
    "DenoiserObjective",
    "Denoising",
    "EncoderTarget",
    "EncoderUntargeted",
    "FeatureInterference",
    "FixedDraws",
    "LatentContrast",
    "LatentStyle",
    "Lessons",
    "MovingLoss",
    "MultiLayer",
    "Objective",
    "PosteriorShift",
    "PromptContrast",
    "RandomDraws",
    "ScoreDistillation",
    "ScoreTarget",
    "SelectedDraws",
    "SpectrumMatch",
    "StyleDirection",
    "TextContrast",
    "WeightedSum",
    "select_timesteps",
]
