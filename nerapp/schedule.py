"""What beat asks for, and how often. A message that no worker took in time expires; the next one follows."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

BEAT: dict[str, dict[str, Any]] = {
    "documents without a prediction": {
        "task": "labeling.tasks.queue_fill",
        "schedule": 15.0,
        "options": {"expires": 60},
    },
    "what people decided, counted by day": {
        "task": "feedback.tasks.summaries_update",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "how good live answers are": {
        "task": "feedback.tasks.quality_update",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "callers' texts for the queue": {
        "task": "labeling.tasks.traffic_take",
        "schedule": 30.0,
        "options": {"expires": 60},
    },
    "changes of counters": {
        "task": "labeling.tasks.tallies_compact",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "is a retraining due?": {
        "task": "retraining.tasks.policies_check",
        "schedule": 20.0,
        "options": {"expires": 60},
    },
    "what running experiments show": {
        "task": "retraining.tasks.experiments_check",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "versions on their way to callers": {
        "task": "retraining.tasks.rollouts_check",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "answers that versions missed long ago": {
        "task": "inference.tasks.arm_failures_forget",
        "schedule": crontab(hour=4, minute=31),
        "options": {"expires": 6 * 3600},
    },
    "queued runs that no worker has seen, dead runs": {
        "task": "retraining.tasks.runs_sweep",
        "schedule": 15.0,
        "options": {"expires": 60},
    },
    "exams of the versions that share callers": {
        "task": "retraining.tasks.slots_examine",
        "schedule": 120.0,
        "options": {"expires": 120},
    },
    "have the texts drifted?": {
        "task": "retraining.tasks.drifts_measure",
        "schedule": 300.0,
        "options": {"expires": 240},
    },
    "old reports of drift": {
        "task": "retraining.tasks.drift_forget",
        "schedule": crontab(hour=4, minute=29),
        "options": {"expires": 6 * 3600},
    },
    "imports and exports that no worker has seen, dead ones": {
        "task": "labeling.tasks.jobs_sweep",
        "schedule": 10.0,
        "options": {"expires": 60},
    },
    "bulk predictions that no worker has seen, dead workers' chunks": {
        "task": "inference.tasks.jobs_sweep",
        "schedule": 10.0,
        "options": {"expires": 60},
    },
    "what shadows would have answered": {
        "task": "inference.tasks.shadows_read",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "old comparisons with shadows": {
        "task": "inference.tasks.shadow_comparisons_forget",
        "schedule": crontab(hour=4, minute=11),
        "options": {"expires": 6 * 3600},
    },
    "files of old bulk predictions": {
        "task": "inference.tasks.job_files_sweep",
        "schedule": crontab(minute=37),
    },
    "files of old imports and exports": {
        "task": "labeling.tasks.files_sweep",
        "schedule": crontab(minute=47),
    },
    "what webhooks are to be told": {
        "task": "webhooks.tasks.webhooks_wake",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "what webhooks were told long ago": {
        "task": "webhooks.tasks.deliveries_forget",
        "schedule": crontab(hour=4, minute=23),
        "options": {"expires": 6 * 3600},
    },
    "MLflow's aliases": {
        "task": "retraining.tasks.tracking_sync",
        "schedule": crontab(hour=3, minute=41),
        "options": {"expires": 6 * 3600},
    },
    "left-over temporary files": {
        "task": "retraining.tasks.leftovers_sweep",
        "schedule": crontab(minute=17),
    },
}
