"""Why something about training was refused."""

from __future__ import annotations

from corpus.errors import Conflict, DomainError


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


class ReasonRequired(DomainError):
    """Say why: a reason is required."""

    code = "reason_required"


class BaseCorpusRefused(DomainError):
    """This file cannot serve as a base corpus: {problem}"""

    code = "base_corpus_refused"


class RunFailed(Exception):
    """A training run cannot end well; the message is for people and holds no text of a document."""
