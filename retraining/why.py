"""Why is this model serving? What brought it to callers, what it learned from, and what was tried since.

All of it is read from rows and the audit log, newest first and only so far as a page shows it: the number of
queries and of rows read does not grow with the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from audit.models import AuditEvent
from audit.selectors import events_of
from corpus.models import Project
from corpus.said import say, say_kept
from feedback.models import QualityEstimate
from feedback.selectors import quality_newest
from inference.models import Deployment, ModelVersion
from inference.selectors import deployment_of
from retraining.models import Experiment, RetrainDecision, Rollout, TrainingRun

#: So many of each kind are told, the newest.
TOLD = 20
_MOVES = ("version.promote", "version.roll_back", "deployment.set")
Status = TrainingRun.Status


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that was tried since the champion came, and why it did not take its place."""

    at: datetime
    kind: str
    """`run`, `rollout` or `experiment`."""

    id: int
    version: ModelVersion | None
    outcome: str
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Why:
    """Everything that explains a project's champion."""

    deployment: Deployment
    moves: Sequence[AuditEvent]
    """What was done to the champion's slot, newest first; the first one brought the champion."""

    run: TrainingRun | None
    decision: RetrainDecision | None
    """Why its training was queued, where a policy did."""

    live: QualityEstimate | None
    attempts: Sequence[Attempt]
    next: RetrainDecision | None
    """What the retraining policy answered last."""

    @property
    def version(self) -> ModelVersion:
        """The champion."""
        return self.deployment.version

    @property
    def move(self) -> AuditEvent | None:
        """The act that made it champion."""
        return self.moves[0] if self.moves else None

    @property
    def sentences(self) -> list[str]:
        """The answer in plain words, the weightiest first."""
        told = [self._came(), self._judged(), self._learned(), self._lives(), self._since(), self._goes_on()]
        return [sentence for sentence in told if sentence]

    def _came(self) -> str:
        names = {"version": self.version, "project": self.deployment.project}
        since = date_format(self.deployment.changed_at, "DATETIME_FORMAT")
        if self.move is None:
            words = _("{version} answers the callers of {project} since {since}.")
            return words.format(**names, since=since)
        who = {"who": self.move.actor_name, "reason": self.move.reason.rstrip(".")}
        before = self.move.data.get("from")
        if before is None:
            words = _(
                "{version} answers the callers of {project} since {since}, as their first model: "
                "{who} set it. The reason given: {reason}."
            )
        elif self.move.action == "version.roll_back":
            words = _(
                "{version} answers the callers of {project} since {since}: {who} rolled {before} back. "
                "The reason given: {reason}."
            )
        else:
            words = _(
                "{version} answers the callers of {project} since {since}, in the place of {before}: "
                "{who} promoted it. The reason given: {reason}."
            )
        return words.format(**names, **who, since=since, before=before)

    def _judged(self) -> str:
        if self.run is None or not self.run.verdict:
            return _("No gate has judged it: it was not trained here, or is put there by hand.")
        verdict = self.run.verdict
        if not verdict["passed"]:
            return _("The gate refused it, and it serves nevertheless.")
        if not verdict.get("interval"):
            return _("It passed the gate.")
        low, high = verdict["interval"]
        return _(
            "It passed the gate: F1 {difference} points against {champion}, between {low} and {high} with "
            "95 % confidence."
        ).format(
            difference=_signed(verdict["difference"]),
            champion=verdict.get("champion") or self.run.start_from,
            low=_signed(low),
            high=_signed(high),
        )

    def _learned(self) -> str:
        if self.run is None:
            return ""
        counts = self.run.training_set.counts
        words = _(
            "Run {run} made it on top of {parent}, from {train} corrected texts. It was queued because: "
            "{because}."
        )
        if self.run.training_set.base_corpus is not None:
            words = _(
                "Run {run} made it on top of {parent}, from {train} corrected texts and {corpus}. It was "
                "queued because: {because}."
            )
        because = self.decision.explanation if self.decision else self.run.reason
        return words.format(
            run=self.run.pk,
            parent=self.run.start_from,
            train=counts.get("train", 0),
            corpus=self.run.training_set.base_corpus,
            because=because.removeprefix("due: ").rstrip("."),
        )

    def _lives(self) -> str:
        if self.live is None:
            return _("Nobody has reviewed random texts that it answered: how good it is live is not known.")
        return _(
            "Live, on {documents} random texts that people reviewed, its F1 is {f1}, between {low} and "
            "{high} with 95 % confidence."
        ).format(
            documents=self.live.documents,
            f1=number_format(100 * self.live.f1, 1),
            low=number_format(100 * self.live.low, 1),
            high=number_format(100 * self.live.high, 1),
        )

    def _since(self) -> str:
        if not self.attempts:
            return _("Nothing else has been tried since.")
        return _("Tried since, and not in its place: {attempts}.").format(
            attempts="; ".join(one.outcome.rstrip(".") for one in self.attempts[:3])
        )

    def _goes_on(self) -> str:
        return (
            ""
            if self.next is None
            else _("Is a training due now? {answer}.").format(
                answer=self.next.explanation.rstrip(".").capitalize()
            )
        )


def why_serving(*, project: Project) -> Why | None:
    """What explains a project's champion; None where nothing serves."""
    deployment = deployment_of(project)
    if deployment is None:
        return None
    version = deployment.version
    runs = TrainingRun.objects.select_related("start_from", "training_set__base_corpus")
    run = runs.filter(candidate=version).first()
    return Why(
        deployment=deployment,
        moves=list(events_of(deployment).filter(action__in=_MOVES)[:TOLD]),
        run=run,
        decision=run.decisions.first() if run is not None else None,
        live=quality_newest(project, version),
        attempts=_attempts(project, version, deployment.changed_at),
        next=RetrainDecision.objects.filter(project=project).first(),
    )


def _attempts(project: Project, champion: ModelVersion, since: datetime) -> list[Attempt]:
    runs = (
        TrainingRun.objects.filter(project=project, ended_at__gte=since)
        .exclude(candidate=champion)
        .select_related("candidate", "start_from")
    )
    rollouts = (
        Rollout.objects.filter(project=project, started_at__gte=since)
        .exclude(version=champion)
        .select_related("version")
    )
    experiments = Experiment.objects.filter(project=project, started_at__gte=since).select_related("winner")
    found = [
        *(_run_told(run, champion) for run in runs[:TOLD]),
        *map(_rollout_told, rollouts[:TOLD]),
        *(_experiment_told(one) for one in experiments[:TOLD] if one.winner_id != champion.pk),
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:TOLD]


def _run_told(run: TrainingRun, champion: ModelVersion) -> Attempt:
    verdict: dict[str, Any] = run.verdict or {}
    made = _("what run {run} made").format(run=run.pk)
    names = {"run": run.pk, "version": run.candidate or made}
    reasons = [say_kept(reason, "message") for reason in verdict.get("reasons", ()) if not reason["passed"]]
    if run.status == Status.FAILED:
        words, reasons = _("run {run} failed"), [run.error]
    elif run.status == Status.CANCELLED:
        words = _("run {run} was cancelled")
    elif verdict.get("passed"):
        words = _("{version} passed the gate, and was not promoted")
        if run.start_from_id != champion.pk:
            judged = _("It was judged against {version}, which is champion no more.")
            reasons = [judged.format(version=run.start_from)]
    else:
        words = _("{version} was refused by the gate")
    at = run.ended_at or run.queued_at
    return Attempt(at, "run", run.pk, run.candidate, words.format(**names), reasons)


def _rollout_told(rollout: Rollout) -> Attempt:
    words = _("the rollout of {version}: {status}").format(
        version=rollout.version, status=rollout.get_status_display().lower()
    )
    reasons = [say(said) for said in (rollout.outcome or rollout.waits_for,) if said]
    return Attempt(rollout.started_at, "rollout", rollout.pk, rollout.version, words, reasons)


def _experiment_told(experiment: Experiment) -> Attempt:
    outcome = experiment.get_outcome_display() or experiment.get_status_display()
    words = _("the experiment “{question}”: {outcome}").format(
        question=experiment.question.rstrip("?."), outcome=outcome.lower()
    )
    reasons = [say(experiment.ended_why)] if experiment.ended_why else []
    at = experiment.started_at or experiment.created_at
    return Attempt(at, "experiment", experiment.pk, experiment.winner, words, reasons)


def _signed(share: float) -> str:
    return ("" if share < 0 else "+") + number_format(100 * share, 1)
