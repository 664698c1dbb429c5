"""What the OpenAPI document says in words: how to begin, what belongs together, each operation in a line."""

from __future__ import annotations

DESCRIPTION = """Named entity recognition in production with the loop closed.

**To begin**: `manage.py apikey_create --project demo --name me` prints a key; press *Authorize*, paste it,
open `predict` and execute. Offsets count code points of the text exactly as it was sent, unless `utf16` is
asked for. Every refusal is `application/problem+json` with a stable `code`."""

#: In the order in which the page shows them.
TAGS = [
    {"name": "predict", "description": "One text, or up to a thousand"},
    {"name": "jobs", "description": "A whole file, behind the answer"},
    {"name": "feedback", "description": "What people say about a prediction"},
    {"name": "models", "description": "What answers, and how good it is"},
    {"name": "rollouts", "description": "Which version is on its way to callers"},
    {"name": "experiments", "description": "Versions side by side on real callers"},
    {"name": "transfer", "description": "Labelled texts in and out"},
    {"name": "access", "description": "Tokens in exchange for a key"},
    {"name": "health", "description": "For probes, dashboards and operators"},
]

SUMMARIES = {
    "predict": "Recognise the entities of one text",
    "predict_route": "Recognise one text by the version that measurements speak for",
    "predict_batch": "Recognise up to 1,000 texts at once",
    "job_start": "Hand a file in",
    "job_list": "List what was handed in",
    "job_read": "Ask how far a file is",
    "job_cancel": "Stop a file",
    "job_result": "Fetch the answers of a file",
    "feedback": "Correct or rate a prediction",
    "models_list": "List the versions that may be used",
    "models_read": "Look at one version and its card",
    "models_comparison": "Put versions beside each other",
    "rollouts_list": "List the project's rollouts",
    "rollout_start": "Bring a version to callers, step by step",
    "rollout_read": "Ask where a rollout is, and why",
    "rollout_approve": "Approve a rollout's next step",
    "rollout_pause": "Keep a rollout at its step",
    "rollout_resume": "Let a paused rollout go on",
    "rollout_roll_back": "Take the version of a rollout back",
    "quality_read": "Ask how good live answers are",
    "drift_list": "Ask whether the texts have drifted",
    "drift_read": "Look at one comparison of the texts",
    "retraining_decisions": "Ask whether a training is due, and why",
    "lineage_read": "Ask where a version comes from and what it answered",
    "why_serving": "Ask why the champion is serving",
    "experiments_list": "List the experiments",
    "experiment_create": "Draft an experiment",
    "experiment_estimate": "Ask how long an experiment would take",
    "experiment_read": "Look at one experiment and what it shows",
    "experiment_start": "Deal the callers out to an experiment",
    "experiment_stop": "Stop an experiment and keep the champion",
    "experiment_conclude": "Make a version of an experiment champion",
    "import_start": "Bring labelled texts in",
    "import_read": "Ask how far an import is",
    "import_cancel": "Stop an import",
    "export_start": "Have labelled texts written",
    "export_read": "Ask how far an export is",
    "export_cancel": "Stop an export",
    "export_file": "Fetch what was written",
    "token": "Exchange a key for a short-lived token",
    "live": "Is the process alive?",
    "ready": "Can it answer?",
    "health": "How is everything?",
    "metrics": "Numbers for Prometheus",
}
