"""Carrying out a run: train, put the candidate on the shelf, let it sit its exams, hear the gate.

Everything here may be repeated after a kill at any point: training resumes from its checkpoint, a candidate
that is already on the shelf is not made twice, and every write names the lease.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from audit.services import SYSTEM, event_record
from corpus.errors import DomainError
from inference.engine import bundle_path
from inference.models import ModelVersion
from inference.services import version_register
from ner.config import TrainConfig, from_json
from ner.errors import BundleRefused, NerError, TrainingCancelled
from ner.gate import GateDecision, refuse_bundle
from ner.said import Said
from retraining.errors import RunFailed, Unservable
from retraining.models import RetrainPolicy, TrainingRun, TrainingRunEvent
from retraining.selectors import policy_of
from retraining.services.exams import candidate_judge
from retraining.services.leases import Lease, LeaseLost, Status, patiently
from retraining.services.materials import Materials
from retraining.services.promotion import candidate_promote
from retraining.services.rollouts import rollout_start
from retraining.splits import Split
from retraining.tracking import Subject, Tracker, git_commit
from retraining.workspace import CHECKPOINT, attempt_dir, run_dir_remove

if TYPE_CHECKING:
    from ner.training.loop import Progress

log = structlog.get_logger(__name__)
AfterGate = RetrainPolicy.AfterGate

#: Progress is written to the row no more often than this.
_REPORT_SECONDS = 1.0


def run_execute(*, run_id: int) -> None:
    """Carry out one queued run; without effect when another process has it or it has ended."""
    lease = patiently(partial(Lease.claim, run_id))
    if lease is None:
        log.info("run_not_claimed", run=run_id)
        return
    try:
        with lease.kept():
            _Execution(lease).carry_out()
    except LeaseLost:
        # Nothing of ours is written any more; the owner of the row goes on from our checkpoint.
        log.warning("run_lost", run=run_id, attempt=lease.attempt)
    except (SystemExit, KeyboardInterrupt):
        lease.give_up()
        raise


class _Execution:
    """One attempt at a run."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.run = TrainingRun.objects.select_related(
            "project", "training_set__label_set", "training_set__base_corpus", "start_from", "candidate"
        ).get(pk=lease.run_id)
        self.folder: Path | None = None
        self.tracker = Tracker(_subject(self.run), run_id=self.run.mlflow_run_id)

    def carry_out(self) -> None:
        """Train and judge, and end the row in one of its three ways."""
        self._begin()
        candidate: ModelVersion | None
        try:
            candidate = self.run.candidate or self._train()
            if self.lease.should_stop():
                raise TrainingCancelled(epoch=0)
            decision = self._judge(candidate)
        except LeaseLost:
            raise
        except Unservable as error:
            candidate, decision = None, self._verdict(None, refuse_bundle(error.refused))
        except TrainingCancelled:
            # Stopped by the loop: by a person, or because the lease is gone and the row not ours to end.
            if self.lease.lost.is_set():
                raise LeaseLost from None
            self._end(Status.CANCELLED, "Cancelled.", tracked="KILLED")
            return
        except RunFailed as error:
            self._fail(str(error))
            return
        except (DomainError, NerError) as error:
            self._fail(f"{error} ({error.code})")
            return
        except OSError as error:
            self._fail(_in_words(error))
            return
        except DatabaseError:
            # Not the training's fault: the lease runs out, and the sweep queues the run again.
            log.exception("run_interrupted", run=self.run.pk)
            return
        except MemoryError:
            self._fail("The machine has too little memory for this training.")
            return
        except Exception as error:
            log.exception("run_failed", run=self.run.pk)
            self._fail(f"{type(error).__name__}; the log of the training worker has the details.")
            return
        self._finish(candidate, decision)

    def _begin(self) -> None:
        attempt = "" if self.lease.attempt == 1 else f", attempt {self.lease.attempt}"
        with self.lease.holding() as run:
            self._line(f"Training starts from {run.start_from}{attempt}.")
            if self.lease.attempt == 1:
                event_record(action="run.start", actor=SYSTEM, subject=run, chain=run.project.slug)
        self.tracker.start()

    # --- training ------------------------------------------------------------------------------------

    def _train(self) -> ModelVersion:
        run, config = self.run, from_json(TrainConfig, self.run.config)
        folder = self.folder = attempt_dir(run.pk, self.lease.attempt, self.lease.token.hex[:8])
        if self.lease.attempt == settings.RUN_MAX_ATTEMPTS:
            # If it is the checkpoint that kills, the last attempt must not inherit it.
            (folder / CHECKPOINT).unlink(missing_ok=True)
        bundle: Path | None = None
        for progress in self._progress(config, folder):
            bundle = progress.bundle or bundle
        if bundle is None:
            raise RunFailed("The training ended without a model.")
        try:
            return patiently(partial(self._register, bundle))
        except BundleRefused as refused:
            raise Unservable(refused) from refused

    def _progress(self, config: TrainConfig, folder: Path) -> Iterator[Progress]:
        """The training's progress, passed on; what is worth keeping is written to the row and the log."""
        # TensorFlow takes seconds and hundreds of megabytes: only here, in the child that trains.
        from ner.training.loop import train

        materials, told = Materials(self.run), _Told()
        for progress in train(
            config,
            train=materials.examples(Split.TRAIN),
            dev=materials.examples(Split.DEV),
            out=folder / "bundle",
            start_from=materials.champion,
            rehearsal_texts=materials.texts(),
            rehearsal_examples=materials.base(),
            checkpoint=folder / CHECKPOINT,
            should_stop=self.lease.should_stop,
            vectors=None if materials.champion else settings.MODELS_DIR / "flagship",
        ):
            numbers, line = _numbers(progress), told.line_for(progress)
            if line or progress.bundle or told.seconds_ago() > _REPORT_SECONDS:
                row = {"phase": "training", "message": progress.message, "seconds": told.row(), **numbers}
                patiently(partial(self.lease.write, progress=row, mlflow_run_id=self.tracker.run_id))
            if line and progress.step == 0:
                patiently(partial(self._say, line))
            elif line:
                patiently(partial(self._say, line, **numbers))
                self.tracker.metrics({"loss": progress.loss, "dev_f1": progress.dev_f1}, step=progress.step)
            yield progress

    def _say(self, message: str, **data: Any) -> None:
        with self.lease.holding():
            self._line(message[:1].upper() + message[1:], **data)

    def _register(self, bundle: Path) -> ModelVersion:
        """Put the candidate on the shelf and into the row, both or neither."""
        with self.lease.holding() as run:
            candidate = version_register(
                path=bundle,
                name=run.project.slug,
                project=run.project,
                origin=ModelVersion.Origin.TRAINED,
                label_set=run.training_set.label_set,
                parent=run.start_from,
                must_be_finite=False,
                actor=SYSTEM,
            )
            self.lease.write(
                candidate=candidate, progress={"phase": "judging", "message": "sitting the exams"}
            )
            self._line(f"{candidate} is on the shelf.")
        return candidate

    # --- the verdict ---------------------------------------------------------------------------------

    def _judge(self, candidate: ModelVersion) -> dict[str, Any]:
        run = self.run
        decision = candidate_judge(
            candidate=candidate,
            champion=run.start_from,
            training_set=run.training_set,
            policy=policy_of(project=run.project),
        )
        return self._verdict(candidate, decision)

    def _verdict(self, candidate: ModelVersion | None, decision: GateDecision) -> dict[str, Any]:
        return {
            **decision.to_json(),
            "champion": str(self.run.start_from),
            "candidate": str(candidate) if candidate else None,
            "test_set": self.run.training_set.test_fingerprint,
        }

    def _finish(self, candidate: ModelVersion | None, decision: dict[str, Any]) -> None:
        """Write the verdict and end the run; then do what the policy says with the candidate."""
        self.tracker.document("verdict.json", decision)
        if candidate is not None:
            self._track(candidate)
        problem = self.tracker.close("FINISHED")
        patiently(partial(self._end_done, candidate, decision, problem))
        run_dir_remove(self.run.pk)

    def _track(self, candidate: ModelVersion) -> None:
        self.tracker.document("card.md", candidate.card)
        self.tracker.document("metrics.json", candidate.metrics)
        for evaluation in candidate.evaluations.all():
            self.tracker.document(f"evaluation-{evaluation.kind}.json", evaluation.report)
            self.tracker.metrics({f"{evaluation.kind}_f1": evaluation.f1}, step=0)
        if bundle := bundle_path(candidate):
            self.tracker.register(
                model=candidate.name,
                version=str(candidate),
                sha256=candidate.sha256,
                bundle=bundle,
                card=candidate.card,
            )

    def _end_done(self, candidate: ModelVersion | None, decision: dict[str, Any], problem: str) -> None:
        with self.lease.holding() as run:
            for reason in decision["reasons"]:
                mark = "passed" if reason["passed"] else "refused"
                self._line(f"Gate, {mark}: {reason['message']}", code=reason["code"])
            verdict = "passed the gate" if decision["passed"] else "was refused by the gate"
            self._line(f"{candidate or 'What the training made'} {verdict}.")
            if problem:
                self._line(f"MLflow was away ({problem}); this run is not in it, or not in full.")
            event_record(
                action="gate.judge",
                actor=SYSTEM,
                subject=candidate or run,
                chain=run.project.slug,
                data={
                    "run": run.pk,
                    "candidate": decision["candidate"],
                    "passed": decision["passed"],
                    "difference": decision["difference"],
                    "refused": [r["code"] for r in decision["reasons"] if not r["passed"]],
                },
            )
            event_record(
                action="run.finish",
                actor=SYSTEM,
                subject=run,
                chain=run.project.slug,
                data={"candidate": decision["candidate"], "passed": decision["passed"]},
            )
            self.lease.write(verdict=decision, mlflow_run_id=self.tracker.run_id)
            self._close(Status.DONE)
            if candidate is not None and decision["passed"]:
                self._bring_to_callers(candidate)

    def _bring_to_callers(self, candidate: ModelVersion) -> None:
        """What the policy says becomes of a candidate that passed; with the end of the run, or not at all."""
        run = TrainingRun.objects.select_related("project", "candidate").get(pk=self.run.pk)
        after_gate = policy_of(project=run.project).after_gate
        try:
            with transaction.atomic():
                if after_gate == AfterGate.ROLL_OUT:
                    reason = Said(gettext_noop("passed the gate; the policy rolls it out"))
                    rollout_start(
                        project=run.project, version=candidate, run=run, actor=SYSTEM, reason=reason
                    )
                elif after_gate == AfterGate.PROMOTE:
                    candidate_promote(
                        run=run, actor=SYSTEM, reason="passed the gate; the policy promotes automatically"
                    )
        except DomainError as error:
            self._line(f"Not brought to callers: {error}")

    # --- the end -------------------------------------------------------------------------------------

    def _fail(self, error: str) -> None:
        self._end(Status.FAILED, error, tracked="FAILED")

    def _end(self, status: Status, said: str, *, tracked: str) -> None:
        if self.folder is not None:  # first, for a disk that is full
            shutil.rmtree(self.folder, ignore_errors=True)
        problem = self.tracker.close(tracked)

        def write() -> None:
            with self.lease.holding() as run:
                self._line(said if status == Status.CANCELLED else f"Failed: {said}")
                if problem:
                    self._line(f"MLflow was away ({problem}).")
                if status == Status.FAILED:
                    event_record(
                        action="run.fail",
                        actor=SYSTEM,
                        subject=run,
                        chain=run.project.slug,
                        data={"error": said},
                    )
                    self.lease.write(error=said)
                self._close(status)

        patiently(write)
        run_dir_remove(self.run.pk)

    def _close(self, status: Status) -> None:
        """Give the lease back with the end of the run."""
        TrainingRun.objects.filter(pk=self.run.pk, lease_token=self.lease.token).update(
            status=status, lease_token=None, lease_expires_at=None, ended_at=Now()
        )

    def _line(self, message: str, **data: Any) -> None:
        TrainingRunEvent.objects.create(run_id=self.run.pk, message=message, data=data)


@dataclass
class _Told:
    """What has been told of a training's progress, to tell each thing once and not too often."""

    began: float = field(default_factory=time.monotonic)
    row_at: float = 0.0
    epoch: int | None = None

    def line_for(self, progress: Progress) -> str:
        """The line for the log, when there is news: the beginning, and the end of each epoch."""
        if not progress.total:
            return ""
        before, self.epoch = self.epoch, progress.epoch
        if before is None:
            resumed = f"; going on after epoch {progress.epoch}" if progress.epoch else ""
            return f"{progress.message}{resumed}."
        return progress.message if progress.epoch > before else ""

    def seconds_ago(self) -> float:
        """Since the row was last written."""
        return time.monotonic() - self.row_at

    def row(self) -> int:
        """The row is written now; returns the seconds since the training began."""
        self.row_at = time.monotonic()
        return int(self.row_at - self.began)


def _numbers(progress: Progress) -> dict[str, float]:
    return {
        "step": progress.step,
        "total": progress.total,
        "epoch": progress.epoch,
        "loss": round(progress.loss, 5),
        "dev_f1": round(progress.dev_f1, 5),
    }


def _subject(run: TrainingRun) -> Subject:
    return Subject(
        experiment=run.project.slug,
        name=f"run {run.pk}",
        params={"start_from": str(run.start_from), **run.config, **run.training_set.counts},
        tags={
            "mlflow.source.git.commit": git_commit(),
            "nerapp.run": str(run.pk),
            "nerapp.reason": run.reason,
            "nerapp.training_set": run.training_set.fingerprint,
        },
        dataset=f"corrections of {run.project.slug}",
        dataset_digest=run.training_set.fingerprint,
    )


def _in_words(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(settings.DATA_DIR).free // 2**20
        return (
            f"The disk is full: {free} MB are free where trained models are kept. Make room and retrain; "
            "the champion serves as before."
        )
    return f"{type(error).__name__}: {error.strerror or 'a file could not be used'}"
