"""Champion and candidate sit the same exams with the runtime that serves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Document, Project
from feedback.models import Stratum
from feedback.services import gold_mark
from inference.engine import bundle_path, engine
from inference.models import Evaluation, ModelVersion
from inference.selectors import exams_shared
from inference.services import deployment_set, version_register
from ner.errors import BundleNotFinite
from ner.gate import GateDecision, judge
from ner.runtime import Recogniser, Recognition
from ner.spans import Span
from retraining.models import RetrainPolicy
from retraining.services import policy_change, training_set_freeze
from retraining.services.exams import (
    candidate_judge,
    exam_in_general,
    exam_of_gold,
    exam_of_project,
    exam_sit,
    slots_examine,
)
from tests.bundles import WORDS, tiny_bundle
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db
LABELS = ("geo", "gpe", "org", "per", "tim", "art", "eve", "nat", "cultivar")


@pytest.fixture(autouse=True)
def _own_data_dir(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"


def version(project: Project, folder: Path, **words: str) -> ModelVersion:
    """A version that knows these words besides the usual ones."""
    bundle = tiny_bundle(folder / "-".join(words or ["plain"]), {**WORDS, **words}, labels=LABELS)
    return version_register(path=bundle, name=project.slug, project=project, actor=SYSTEM)


@pytest.fixture
def policy(project: Project) -> RetrainPolicy:
    """Ten documents are enough for a test."""
    return policy_change(project=project, actor=SYSTEM, min_test_documents=10)


def test_a_better_candidate_passes(
    project: Project, correct: Correct, policy: RetrainPolicy, tmp_path: Path
) -> None:
    correct(40, Stratum.RANDOM)
    decision = candidate_judge(
        champion=version(project, tmp_path),
        candidate=version(project, tmp_path, Bramley="B-cultivar"),
        training_set=training_set_freeze(project=project),
        policy=policy,
    )
    assert decision.passed, decision.reasons
    assert Evaluation.objects.filter(kind="test").count() == 2
    assert Evaluation.objects.filter(kind="general").count() == 2


def test_a_candidate_that_forgot_is_refused(
    project: Project, correct: Correct, policy: RetrainPolicy, tmp_path: Path
) -> None:
    correct(40, Stratum.RANDOM)
    forgetful = tiny_bundle(tmp_path / "forgetful", {"Bramley": "B-cultivar"}, labels=LABELS)
    learned = {
        example.text[span.start : span.end]: f"B-{span.label}"
        for example in exam_in_general().examples
        for span in example.spans
        if example.text[span.start : span.end].isalpha()
    }
    wise = tiny_bundle(tmp_path / "wise", learned, labels=LABELS)
    decision = candidate_judge(
        champion=version_register(path=wise, name=project.slug, project=project, actor=SYSTEM),
        candidate=version_register(path=forgetful, name=project.slug, project=project, actor=SYSTEM),
        training_set=training_set_freeze(project=project),
        policy=policy,
    )
    refused = {reason.code for reason in decision.reasons if not reason.passed}
    assert refused == {"forgetting"}


def test_golden_texts_that_the_champion_knows_must_not_be_lost(
    project: Project, correct: Correct, policy: RetrainPolicy, ana: User, tmp_path: Path
) -> None:
    correct(40, Stratum.RANDOM)
    for correction in correct(4):
        gold_mark(correction=correction, user=ana)
    champion, candidate = version(project, tmp_path, Bramley="B-cultivar"), version(project, tmp_path)
    decision = candidate_judge(
        champion=champion,
        candidate=candidate,
        training_set=training_set_freeze(project=project),
        policy=policy,
    )
    golden = next(reason for reason in decision.reasons if reason.code == "golden")
    assert (golden.passed, golden.value, golden.limit) == (False, 4, 1)
    exam = Evaluation.objects.get(kind="golden", version=champion)
    assert (exam.documents, exam.f1, exam.project) == (4, 1.0, project)


def test_how_much_gold_may_be_lost_and_how_far_confidence_may_be_off_is_the_projects_own(
    project: Project,
    correct: Correct,
    policy: RetrainPolicy,
    ana: User,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for correction in correct(4):
        gold_mark(correction=correction, user=ana)
    correct(10, Stratum.RANDOM)
    champion, candidate = version(project, tmp_path, Bramley="B-cultivar"), version(project, tmp_path)
    training_set, asked = training_set_freeze(project=project), []

    def spied(**told: Any) -> GateDecision:
        asked.append(told["policy"])
        return judge(**told)

    monkeypatch.setattr("retraining.services.exams.judge", spied)
    for changed, allowed in (({}, 1), ({"max_golden_lost": 1.0, "max_ece": 0.3}, 4), ({"max_ece": None}, 4)):
        decision = candidate_judge(
            champion=champion,
            candidate=candidate,
            training_set=training_set,
            policy=policy_change(project=project, actor=SYSTEM, **changed),
        )
        assert next(one.limit for one in decision.reasons if one.code == "golden") == allowed
    assert [one.max_ece for one in asked] == [0.1, 0.3, None]
    for name in ("max_golden_lost", "max_ece"):
        with pytest.raises(ValidationError):
            policy_change(project=project, actor=SYSTEM, **{name: 1.1})


def test_an_erased_golden_text_is_in_no_exam(project: Project, correct: Correct, ana: User) -> None:
    kept, erased = correct(2)
    for correction in (kept, erased):
        gold_mark(correction=correction, user=ana)
    before = exam_of_gold(project=project)
    Document.objects.filter(pk=erased.document_id).update(redacted_at=timezone.now())
    after = exam_of_gold(project=project)
    assert [example.id for example in after.examples] == [str(kept.document_id)]
    assert before.fingerprint != after.fingerprint


def judged(project: Project, candidate: ModelVersion, champion: ModelVersion) -> GateDecision:
    return candidate_judge(
        champion=champion,
        candidate=candidate,
        training_set=training_set_freeze(project=project),
        policy=RetrainPolicy(project=project),
    )


def test_a_candidate_with_numbers_that_are_none_is_shelved_and_refused(
    project: Project, correct: Correct, tmp_path: Path
) -> None:
    correct(3, Stratum.RANDOM)
    broken = tiny_bundle(tmp_path / "broken", labels=LABELS, sureness=float("nan"))
    with pytest.raises(BundleNotFinite):
        version_register(path=broken, name=project.slug, project=project, actor=SYSTEM)
    candidate = version_register(
        path=broken, name=project.slug, project=project, must_be_finite=False, actor=SYSTEM
    )
    decision = judged(project, candidate, version(project, tmp_path))
    assert not decision.passed
    assert [reason.code for reason in decision.reasons] == ["bundle"]
    assert "bundle_not_finite" in decision.reasons[0].message
    with pytest.raises(BundleNotFinite):
        engine.recogniser_for(candidate)


def test_a_bundle_changed_since_it_was_loaded_is_refused(
    project: Project, correct: Correct, tmp_path: Path
) -> None:
    correct(3, Stratum.RANDOM)
    candidate = version(project, tmp_path, Bramley="B-cultivar")
    engine.recogniser_for(candidate)
    ((bundle_path(candidate) or tmp_path) / "card.md").write_text("another")
    decision = judged(project, candidate, version(project, tmp_path))
    assert [(reason.code, reason.passed) for reason in decision.reasons] == [("bundle", False)]
    assert str(tmp_path) not in decision.reasons[0].message


def test_answers_that_cannot_be_are_a_reason_to_refuse(
    project: Project, correct: Correct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(3, Stratum.RANDOM)
    candidate, champion = version(project, tmp_path, Bramley="B-cultivar"), version(project, tmp_path)
    lost = engine.recogniser_for(candidate)
    answer = type(lost).predict_many

    def somewhere_else(self: Recogniser, texts: Sequence[str]) -> list[Recognition]:
        found = answer(self, texts)
        return [replace(one, spans=(Span(0, 999, "per", 0.9),)) for one in found] if self is lost else found

    monkeypatch.setattr(type(lost), "predict_many", somewhere_else)
    decision = judged(project, candidate, champion)
    assert [(reason.code, reason.passed) for reason in decision.reasons] == [("bundle", False)]
    assert "numbers or places that cannot be" in decision.reasons[0].message


def test_too_few_random_documents_are_said_and_nothing_passes(
    project: Project, correct: Correct, tmp_path: Path
) -> None:
    correct(3, Stratum.RANDOM)
    correct(30, Stratum.UNCERTAIN)
    decision = candidate_judge(
        champion=version(project, tmp_path),
        candidate=version(project, tmp_path, Bramley="B-cultivar"),
        training_set=training_set_freeze(project=project),
        policy=RetrainPolicy(project=project),
    )
    assert not decision.passed
    reason = next(reason for reason in decision.reasons if reason.code == "test_documents")
    assert not reason.passed
    assert "20 are needed" in reason.message or "nothing can be measured" in reason.message


def test_labels_that_nobody_looked_for_are_neither_right_nor_wrong(
    project: Project, correct: Correct, tmp_path: Path
) -> None:
    exam = exam_in_general()
    assert "cultivar" not in exam.labels
    plain = exam_sit(exam=exam, version=version(project, tmp_path))
    word = exam.examples[0].text.split()[1]
    eager = exam_sit(exam=exam, version=version(project, tmp_path, **{word: "B-cultivar"}))
    assert plain.micro == eager.micro


def test_the_same_exam_has_the_same_certificate(project: Project, correct: Correct, tmp_path: Path) -> None:
    correct(30, Stratum.RANDOM)
    sitting = version(project, tmp_path)
    for _ in range(2):
        exam_sit(exam=exam_of_project(training_set=training_set_freeze(project=project)), version=sitting)
    assert Evaluation.objects.count() == 1


def test_versions_that_share_the_callers_sit_the_exams_together_once(
    project: Project, correct: Correct, tmp_path: Path
) -> None:
    correct(40, Stratum.RANDOM)
    training_set_freeze(project=project)
    first, second = version(project, tmp_path), version(project, tmp_path, Bramley="B-cultivar")
    deployment_set(project=project, slot="champion", version=first, actor=SYSTEM, reason="a start")
    assert slots_examine() == 0, "one version is no cascade"
    deployment_set(project=project, slot="speed", version=second, actor=SYSTEM, reason="quick")
    assert (slots_examine(), slots_examine()) == (4, 0)
    own, general = exams_of(first)
    assert (own.kind, own.project, general.kind, general.project) == ("test", project, "general", None)
    shared = exams_shared(project=project, first=second, second=first)
    assert shared is not None
    assert [exam.set_fingerprint for exam in shared] == [own.set_fingerprint] * 2
    assert len(own.report["uncertainties"]) == own.documents


def exams_of(version: ModelVersion) -> list[Evaluation]:
    return list(Evaluation.objects.filter(version=version).order_by("-kind"))


def test_a_bundle_that_is_gone_keeps_nobody_else_from_an_exam(project: Project, tmp_path: Path) -> None:
    first, second = version(project, tmp_path), version(project, tmp_path, Bramley="B-cultivar")
    for slot, one in (("champion", first), ("speed", second)):
        deployment_set(project=project, slot=slot, version=one, actor=SYSTEM, reason="a start")
    engine.forget()
    shutil.rmtree(bundle_path(first) or tmp_path)
    slots_examine()
    assert Evaluation.objects.get().version == second
