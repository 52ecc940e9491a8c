"""What a thief does with an artist's pictures: fine-tune a diffusion model on them and have it draw something new."""

from cloak_eval.mimics.base import MIMICS, Mimic, MimicConfig, TrainingStep
from cloak_eval.mimics.pipelines import load_pipeline
from cloak_eval.mimics.training_set import TrainingSet, read_training_set, style_prompt

__all__ = [
    "MIMICS",
    "Mimic",
    "MimicConfig",
    "TrainingSet",
    "TrainingStep",
    "load_pipeline",
    "read_training_set",
    "style_prompt",
]
