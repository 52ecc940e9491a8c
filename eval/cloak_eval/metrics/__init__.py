"""Whose style came out, how good it looks and how visible the cloak is, each figure with its uncertainty."""

from cloak_eval.metrics.base import METRICS, Evidence, Metric
from cloak_eval.metrics.bootstrap import Interval, bootstrap, paired_difference
from cloak_eval.metrics.classifier import ClassifierReport, StyleClassifier, train_style_classifier
from cloak_eval.metrics.features import style_features

__all__ = [
    "METRICS",
    "ClassifierReport",
    "Evidence",
    "Interval",
    "Metric",
    "StyleClassifier",
    "bootstrap",
    "paired_difference",
    "style_features",
    "train_style_classifier",
]
