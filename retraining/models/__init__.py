"""Everything that makes a better model."""

from retraining.models.drift import DriftReference, DriftReport
from retraining.models.experiments import Experiment, ExperimentArm, ExperimentLook
from retraining.models.policies import RetrainDecision, RetrainPolicy
from retraining.models.rollouts import Rollout, RolloutEvent, RolloutPolicy
from retraining.models.runs import TrainingRun, TrainingRunEvent
from retraining.models.sets import BaseCorpus, TrainingSet, TrainingSetItem

__all__ = [
    "BaseCorpus",
    "DriftReference",
    "DriftReport",
    "Experiment",
    "ExperimentArm",
    "ExperimentLook",
    "RetrainDecision",
    "RetrainPolicy",
    "Rollout",
    "RolloutEvent",
    "RolloutPolicy",
    "TrainingRun",
    "TrainingRunEvent",
    "TrainingSet",
    "TrainingSetItem",
]
