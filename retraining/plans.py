"""How a run will train: the one place that turns a champion and a training set into a configuration."""

from __future__ import annotations

from dataclasses import replace

from inference.models import ModelVersion
from ner.config import TrainConfig
from ner.training.architectures import default_config
from retraining.models import TrainingSet

#: What a cold start trains: a project whose champion is the blank model.
FIRST_FAMILY = "flagship"


def plan_make(*, champion: ModelVersion, training_set: TrainingSet) -> TrainConfig:
    """The champion's family with its labels first, so that what it knows keeps its place."""
    family = champion.family if champion.sha256 else FIRST_FAMILY
    wanted = [label.name for label in training_set.label_set.labels.all()]
    labels = tuple(dict.fromkeys([*champion.labels, *wanted]))
    return replace(default_config(family), labels=labels)
