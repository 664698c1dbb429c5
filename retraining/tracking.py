"""Telling MLflow about a run, from a thread of its own: MLflow away, slow or broken never costs a training.

Importing MLflow takes seconds and a hundred megabytes, so only the training worker does it, and only here.
Nothing leaves the installation: its telemetry is switched off, and the address is our own server or database.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

#: How long the end of a training waits for MLflow to have written everything.
PATIENCE_SECONDS = 30
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is, in MLflow's words."""

    experiment: str
    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    dataset: str
    dataset_digest: str


@dataclass
class Tracker:
    """Writes one run in the background. After the first failure it drops what follows and says why once."""

    subject: Subject
    run_id: str = ""
    problem: str = ""
    _jobs: queue.SimpleQueue[Callable[[Any], None] | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the run, or go on with the one of an earlier attempt."""
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()
        self._jobs.put(self._open)

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Log numbers of one step."""

        def write(client: Any) -> None:
            from mlflow.entities import Metric
            from mlflow.utils.time import get_current_time_millis

            now = get_current_time_millis()
            found = [Metric(name, float(value), now, step) for name, value in values.items()]
            client.log_batch(self.run_id, metrics=found)

        self._jobs.put(write)

    def document(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Keep a text or a JSON document as an artifact."""

        def write(client: Any) -> None:
            if isinstance(content, str):
                client.log_text(self.run_id, content, name)
            else:
                client.log_dict(self.run_id, dict(content), name)

        self._jobs.put(write)

    def register(self, *, model: str, version: str, sha256: str, bundle: Path, card: str) -> None:
        """Put the candidate into MLflow's registry, as the alias `candidate`."""

        def write(client: Any) -> None:
            if _registered(client, model, version) is not None:  # by an attempt that died afterwards
                return
            _ensure_model(client, model)
            made = client.create_model_version(
                model,
                source=bundle.as_uri(),
                run_id=self.run_id,
                tags={"nerapp.version": version, "nerapp.sha256": sha256},
                description=card[:5000],
                await_creation_for=0,
            )
            client.set_registered_model_alias(model, "candidate", made.version)

        self._jobs.put(write)

    def close(self, status: str) -> str:
        """End the run (FINISHED, FAILED or KILLED) and return what went wrong, if anything."""
        self._jobs.put(lambda client: client.set_terminated(self.run_id, status))
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(PATIENCE_SECONDS)
            if self._thread.is_alive():
                self.problem = self.problem or f"no answer for {PATIENCE_SECONDS} s"
        return self.problem

    def _open(self, client: Any) -> None:
        subject = self.subject
        if self.run_id:
            client.update_run(self.run_id, status="RUNNING")
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run = client.create_run(
            _experiment(client, subject.experiment), run_name=subject.name, tags=dict(subject.tags)
        )
        for name, value in subject.params.items():
            client.log_param(run.info.run_id, name, value)
        dataset = Dataset(
            name=subject.dataset,
            digest=subject.dataset_digest[:32],
            source_type="nerapp",
            source=subject.dataset_digest,
        )
        client.log_inputs(
            run.info.run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )
        self.run_id = run.info.run_id

    def _work(self) -> None:
        try:
            client = _client()
            while (job := self._jobs.get()) is not None:
                job(client)
        except Exception as error:  # noqa: BLE001  (whatever MLflow and its drivers raise: the training goes on)
            self.problem = type(error).__name__
            log.warning("mlflow_failed", error=str(error)[:500])


def alias_point(*, model: str, alias: str, version: str) -> bool:
    """Point an alias at one of our versions; False when MLflow does not know it."""
    client = _client()
    number = _registered(client, model, version)
    if number is None:
        return False
    client.set_registered_model_alias(model, alias, number)
    return True


def git_commit() -> str:
    """The commit that this installation runs, where it is a clone."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _client() -> Any:
    os.environ.update(_QUIET)
    from mlflow import MlflowClient

    # SQLAlchemy's newest default is a driver that we do not ship.
    uri = re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", settings.MLFLOW_TRACKING_URI)
    return MlflowClient(uri, uri)


def _experiment(client: Any, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    here = settings.MLFLOW_TRACKING_URI.startswith("postgres")
    location = (settings.DATA_DIR / "mlflow" / name).as_uri() if here else None
    return str(client.create_experiment(name, artifact_location=location))


def _ensure_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _registered(client: Any, model: str, version: str) -> str | None:
    """MLflow's own number of one of our versions."""
    for found in client.search_model_versions(f"name = '{model}'"):
        if found.tags.get("nerapp.version") == version:
            return str(found.version)
    return None
