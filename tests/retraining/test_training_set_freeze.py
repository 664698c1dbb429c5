"""What a model may learn from is frozen: each document in one split for ever."""

from __future__ import annotations

import hashlib

import pytest
from django.contrib.auth.models import User
from django.db import InternalError, transaction

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, label_set_revise
from feedback.models import Stratum
from feedback.services import correction_submit
from retraining.errors import NothingToLearn
from retraining.models import TrainingSet
from retraining.services import training_set_examples, training_set_freeze
from retraining.splits import Split, split_of
from tests.factories import document_make
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db


def test_the_same_corrections_give_the_same_set(project: Project, correct: Correct) -> None:
    correct(5)
    first = training_set_freeze(project=project)
    assert training_set_freeze(project=project) == first
    correct(1)
    second = training_set_freeze(project=project)
    assert second.fingerprint != first.fingerprint
    assert (first.items.count(), second.items.count()) == (5, 6)


def test_only_the_random_stratum_enters_the_test_split(project: Project, correct: Correct) -> None:
    correct(30, Stratum.UNCERTAIN)
    correct(10, Stratum.API)
    correct(10, Stratum.IMPORT)
    correct(40, Stratum.RANDOM)
    items = training_set_freeze(project=project).items.select_related("correction")
    tested = [item.correction.stratum for item in items if item.split == Split.TEST]
    assert tested
    assert set(tested) == {Stratum.RANDOM}


def test_a_document_keeps_its_split_when_it_is_corrected_again(
    project: Project, ana: User, correct: Correct
) -> None:
    # Without the memory, documents of the uncertain stratum that are drawn again at random would move from
    # training into the exam.
    made = correct(25, Stratum.UNCERTAIN)
    before = {i.correction.document_id: i.split for i in training_set_freeze(project=project).items.all()}
    for correction in made:
        correction_submit(
            document=correction.document,
            spans=[],
            base_number=1,
            author=ana,
            prediction=None,
            stratum=Stratum.RANDOM,
            milliseconds=1,
            idempotency_key=f"again-{correction.pk}",
        )
    frozen = training_set_freeze(project=project)
    after = {item.correction.document_id: item.split for item in frozen.items.all()}
    assert after == before
    assert set(frozen.items.values_list("correction__number", flat=True)) == {2}


def test_the_exam_stays_the_same_while_only_training_documents_are_added(
    project: Project, correct: Correct
) -> None:
    correct(20, Stratum.RANDOM)
    first = training_set_freeze(project=project)
    correct(5, Stratum.UNCERTAIN)
    assert training_set_freeze(project=project).test_fingerprint == first.test_fingerprint


def test_spans_of_labels_that_are_gone_are_left_out(project: Project, ana: User, correct: Correct) -> None:
    correct(3)
    label_set_revise(project=project, labels=[LabelDraft(name="pest")], actor=SYSTEM)
    frozen = training_set_freeze(project=project)
    examples = [e for split in Split for e in training_set_examples(training_set=frozen, split=split)]
    assert len(examples) == 3
    assert all(example.spans == () for example in examples)


def test_an_erased_document_is_not_learned_from(project: Project, correct: Correct) -> None:
    kept, erased = correct(2)
    type(erased.document).objects.filter(pk=erased.document_id).update(text="", redacted_at=kept.created_at)
    frozen = training_set_freeze(project=project)
    assert [item.correction_id for item in frozen.items.all()] == [kept.pk]


def test_without_a_correction_there_is_nothing_to_freeze(project: Project) -> None:
    document_make(project)
    with pytest.raises(NothingToLearn):
        training_set_freeze(project=project)


def test_a_frozen_set_cannot_be_changed(project: Project, correct: Correct) -> None:
    correct(1)
    frozen = training_set_freeze(project=project)
    with pytest.raises(InternalError, match="Cannot update"), transaction.atomic():
        TrainingSet.objects.filter(pk=frozen.pk).update(counts={})


def test_the_splits_have_the_shares_that_the_documentation_promises() -> None:
    hashes = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(4000)]
    random = [split_of(text_hash=h, stratum=Stratum.RANDOM) for h in hashes]
    other = [split_of(text_hash=h, stratum=Stratum.UNCERTAIN) for h in hashes]
    assert random.count(Split.TEST) / 4000 == pytest.approx(0.6, abs=0.03)
    assert random.count(Split.DEV) / 4000 == pytest.approx(0.2, abs=0.03)
    assert other.count(Split.TEST) == 0
    assert other.count(Split.DEV) / 4000 == pytest.approx(0.2, abs=0.03)
