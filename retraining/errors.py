"""Why something about training was refused."""

from __future__ import annotations

from corpus.errors import Conflict, DomainError
from ner.errors import BundleRefused


class NothingToLearn(Conflict):
    """This project has no corrections to learn from yet."""

    code = "nothing_to_learn"


class NoChampion(Conflict):
    """This project has no champion to start from and to compare with."""

    code = "no_champion"


class RunEnded(Conflict):
    """This run has ended ({status}); there is nothing to stop."""

    code = "run_ended"


class RunUnfinished(Conflict):
    """This run has no candidate to promote: it is {status}."""

    code = "run_unfinished"


class GateNotPassed(Conflict):
    """The gate refused this candidate: {reasons}"""

    code = "gate_not_passed"


class StaleBase(Conflict):
    """The champion has changed since this candidate was judged; retrain to judge against the new one."""

    code = "stale_base"


class TrafficBusy(Conflict):
    """The callers of this project are being moved already: {what}. Wait for its end, or stop it first."""

    code = "traffic_busy"


class RolloutMoved(Conflict):
    """This rollout has changed meanwhile: look at it again before you repeat this."""

    code = "rollout_moved"


class RolloutOver(Conflict):
    """This rollout is over ({status}): there is nothing to do with it any more."""

    code = "rollout_over"


class NothingToApprove(Conflict):
    """This rollout does not wait for approval: it is {status}."""

    code = "nothing_to_approve"


class AlreadyChampion(Conflict):
    """{version} answers all callers already."""

    code = "already_champion"


class ReasonRequired(DomainError):
    """Say why: a reason is required."""

    code = "reason_required"


class BaseCorpusRefused(DomainError):
    """This file cannot serve as a base corpus: {problem}"""

    code = "base_corpus_refused"


class ArmsInvalid(DomainError):
    """These arms cannot be compared: {problem}."""

    code = "arms_invalid"


class ExperimentNotDraft(Conflict):
    """This experiment was started before ({status}); one with another question is a new one."""

    code = "experiment_not_draft"


class ExperimentNotRunning(Conflict):
    """This experiment is not running: it is {status}."""

    code = "experiment_not_running"


class NoSuchArm(DomainError):
    """{version} is no arm of this experiment."""

    code = "no_such_arm"


class ChampionMoved(Conflict):
    """The champion has changed since this experiment began; what it found is not about the present one."""

    code = "champion_moved"


class Unservable(Exception):
    """What a training made cannot be put on the shelf; says what is wrong with the bundle."""

    def __init__(self, refused: BundleRefused) -> None:
        super().__init__(refused)
        self.refused = refused


class RunFailed(Exception):
    """A training run cannot end well; the message is for people and holds no text of a document."""
