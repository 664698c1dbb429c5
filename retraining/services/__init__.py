"""Use cases of retraining: freeze, queue, train, judge, promote."""

from retraining.services.base_corpora import base_corpus_examples, base_corpus_import
from retraining.services.drift import drift_forget, drift_measure, drifts_measure
from retraining.services.exams import slots_examine
from retraining.services.execution import run_execute
from retraining.services.experiment_checks import experiment_check, experiments_check
from retraining.services.experiments import (
    experiment_conclude,
    experiment_create,
    experiment_start,
    experiment_stop,
)
from retraining.services.leftovers import leftovers_sweep
from retraining.services.policies import policies_check, policy_change, policy_check
from retraining.services.promotion import candidate_promote
from retraining.services.rollout_checks import rollout_check, rollouts_check
from retraining.services.rollouts import (
    rollout_approve,
    rollout_pause,
    rollout_policy_change,
    rollout_resume,
    rollout_roll_back,
    rollout_start,
)
from retraining.services.runs import run_cancel, run_queue, runs_sweep
from retraining.services.sets import training_set_examples, training_set_freeze
from retraining.services.syncing import tracking_sync

__all__ = [
    "base_corpus_examples",
    "base_corpus_import",
    "candidate_promote",
    "drift_forget",
    "drift_measure",
    "drifts_measure",
    "experiment_check",
    "experiment_conclude",
    "experiment_create",
    "experiment_start",
    "experiment_stop",
    "experiments_check",
    "leftovers_sweep",
    "policies_check",
    "policy_change",
    "policy_check",
    "rollout_approve",
    "rollout_check",
    "rollout_pause",
    "rollout_policy_change",
    "rollout_resume",
    "rollout_roll_back",
    "rollout_start",
    "rollouts_check",
    "run_cancel",
    "run_execute",
    "run_queue",
    "runs_sweep",
    "slots_examine",
    "tracking_sync",
    "training_set_examples",
    "training_set_freeze",
]
