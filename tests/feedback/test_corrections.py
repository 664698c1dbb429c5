"""What a correction must be, and that two people never overwrite each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import DocumentErased, DomainError, IdempotencyKeyInvalid, KeyReused, LabelRetired
from corpus.models import Document, LabelSet, Project
from corpus.services import LabelDraft, label_set_revise
from feedback.errors import OtherText, SpansRefused, StaleVersion, VersionUnknown
from feedback.models import Correction, Rating, SpanDecision, Stratum
from feedback.selectors import correction_current, corrections_newest, corrections_since
from feedback.services import correction_submit, rating_submit
from inference.models import ModelVersion, Prediction
from tests.factories import document_make

TEXT = "Ada Lovelace moved to London in 1835."
ADA = {"start": 0, "end": 12, "label": "per"}
LONDON = {"start": 22, "end": 28, "label": "geo"}


@pytest.fixture
def document(project: Project) -> Document:
    return document_make(project, TEXT)


@pytest.fixture
def prediction(document: Document) -> Prediction:
    version = ModelVersion.objects.create(name="blank", number=0, family="blank", origin="blank")
    return Prediction.objects.create(
        project=document.project,
        version=version,
        document=document,
        spans=[
            {"start": 0, "end": 3, "label": "per", "text": "Ada", "confidence": 0.9},
            {"start": 22, "end": 28, "label": "org", "text": "London", "confidence": 0.6},
            {"start": 32, "end": 36, "label": "tim", "text": "1835", "confidence": 0.8},
        ],
        uncertainty=0.5,
        latency_ms=1.0,
    )


Submit = Callable[..., Correction]


@pytest.fixture
def submit(document: Document, ana: User) -> Submit:
    count = iter(range(1000))

    def call(spans: list[Any], **changed: Any) -> Correction:
        arguments: dict[str, Any] = {
            "document": document,
            "spans": spans,
            "base_number": 0,
            "author": ana,
            "prediction": None,
            "stratum": Stratum.UNCERTAIN,
            "milliseconds": 1200,
            "idempotency_key": f"key-{next(count)}",
        }
        return correction_submit(**(arguments | changed))

    return call


def test_a_correction_its_decisions_and_its_audit_event_are_stored_together(
    submit: Submit, prediction: Prediction, ana: User
) -> None:
    correction = submit(
        [ADA, LONDON, {"start": 29, "end": 31, "label": "pest"}],
        prediction=prediction,
        decisions_ms={"0:3:per": 900, "29:31:pest": 400},
    )

    assert correction.number == 1
    assert correction.spans == [
        {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"},
        {"start": 22, "end": 28, "label": "geo", "text": "London"},
        {"start": 29, "end": 31, "label": "pest", "text": "in"},
    ]
    decisions = list(SpanDecision.objects.values_list("decision", "confidence", "milliseconds"))
    assert sorted(decisions, key=str) == sorted(
        [("resize", 0.9, 900), ("relabel", 0.6, None), ("add", None, 400), ("reject", 0.8, None)], key=str
    )
    event = AuditEvent.objects.get(action="correction.submit")
    assert event.actor == f"user:{ana.pk}"
    assert event.data["decisions"] == {"resize": 1, "relabel": 1, "add": 1, "reject": 1}
    assert "Ada" not in str(event.data)
    assert LabelSet.objects.get(pk=correction.label_set_id).frozen_at is not None


def test_a_machine_span_that_no_reviewer_saw_was_rejected_by_nobody(
    submit: Submit, prediction: Prediction
) -> None:
    prediction.spans = [
        {"start": 0, "end": 3, "label": "not-in-this-project", "text": "Ada", "confidence": 1.0}
    ]
    prediction.save()
    assert not submit([], prediction=prediction).decisions.exists()


def test_a_stale_save_is_refused_and_carries_both_versions(submit: Submit, ben: User) -> None:
    submit([ADA])
    submit([ADA, LONDON], base_number=1)

    with pytest.raises(StaleVersion) as refused:
        submit([LONDON], base_number=1, author=ben)

    assert refused.value.status == 412
    assert refused.value.base is not None
    assert refused.value.base.number == 1
    assert refused.value.current.number == 2
    assert refused.value.extensions()["current"]["number"] == 2
    assert Correction.objects.count() == 2


def test_a_number_that_never_was_is_refused(submit: Submit) -> None:
    with pytest.raises(VersionUnknown):
        submit([ADA], base_number=3)
    submit([ADA])
    with pytest.raises(VersionUnknown):
        submit([LONDON], base_number=-1)


def test_the_same_key_with_the_same_content_returns_the_first_correction(submit: Submit) -> None:
    first = submit([ADA], idempotency_key="once")
    again = submit([ADA], idempotency_key="once")

    assert again == first
    assert Correction.objects.count() == 1
    assert AuditEvent.objects.filter(action="correction.submit").count() == 1


def test_the_same_key_with_other_content_is_refused(submit: Submit) -> None:
    submit([ADA], idempotency_key="once")
    with pytest.raises(KeyReused) as refused:
        submit([LONDON], idempotency_key="once")
    assert refused.value.status == 422


def test_two_people_may_use_the_same_key(submit: Submit, project: Project, ben: User) -> None:
    submit([ADA], idempotency_key="once")
    other = document_make(project, "Grace Hopper sailed from Boston.")
    submit([], idempotency_key="once", author=ben, document=other)
    assert Correction.objects.count() == 2


def test_saving_what_is_already_there_makes_no_version_and_no_noise(submit: Submit, ben: User) -> None:
    first = submit([ADA, LONDON])
    again = submit([LONDON, ADA], base_number=1, author=ben)

    assert again == first
    assert AuditEvent.objects.filter(action="correction.submit").count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "with\nbreak", "ключ", " "])
def test_an_idempotency_key_is_a_short_printable_word(submit: Submit, key: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        submit([ADA], idempotency_key=key)


@pytest.mark.parametrize(
    ("span", "code", "status"),
    [
        ({"start": -1, "end": 3, "label": "per"}, "offset_negative", 400),
        ({"start": 3, "end": 3, "label": "per"}, "span_empty", 400),
        ({"start": 5, "end": 3, "label": "per"}, "span_empty", 400),
        ({"start": 0, "end": 99, "label": "per"}, "span_beyond_end", 400),
        ({"start": 0, "end": 10**30, "label": "per"}, "span_beyond_end", 400),
        ({"start": True, "end": 3, "label": "per"}, "not_an_integer", 400),
        ({"start": 0.5, "end": 3, "label": "per"}, "not_an_integer", 400),
        ({"start": 0.0, "end": 3, "label": "per"}, "not_an_integer", 400),
        ({"start": "0", "end": 3, "label": "per"}, "not_an_integer", 400),
        ({"start": "١", "end": 3, "label": "per"}, "not_an_integer", 400),
        ({"start": 0, "end": 3, "label": "per", "text": "Bob"}, "surface_mismatch", 400),
        ({"start": 0, "end": 3, "label": "PER"}, "unknown_label", 400),
        ({"start": 0, "end": 3, "label": ""}, "unknown_label", 400),
        ({"start": 0, "end": 3, "label": "x" * 51}, "label_too_long", 400),
        ({"start": 0, "end": 3}, "missing_field", 400),
        ("no span", "not_a_span", 400),
    ],
)
def test_a_wrong_span_is_refused_with_its_code(submit: Submit, span: Any, code: str, status: int) -> None:
    with pytest.raises(SpansRefused) as refused:
        submit([LONDON, span])

    assert (refused.value.code, refused.value.status) == (code, status)
    assert refused.value.pointer.startswith("/spans/1")
    assert "Ada" not in refused.value.detail
    assert not Correction.objects.exists()


def test_overlaps_and_duplicates_are_refused_unless_the_project_allows_overlaps(
    submit: Submit, project: Project
) -> None:
    inner = {"start": 0, "end": 3, "label": "per"}
    with pytest.raises(SpansRefused, match="overlap"):
        submit([ADA, inner])
    with pytest.raises(SpansRefused) as duplicate:
        submit([ADA, ADA])
    assert duplicate.value.code == "span_duplicate"

    Project.objects.filter(pk=project.pk).update(allow_overlap=True)
    assert len(submit([ADA, inner]).spans) == 2
    with pytest.raises(SpansRefused):
        submit([ADA, ADA], base_number=1)


def test_too_many_spans_are_refused(submit: Submit) -> None:
    with pytest.raises(SpansRefused) as refused:
        submit([ADA] * 10_001)
    assert (refused.value.code, refused.value.status) == ("too_many_spans", 413)


def test_a_label_that_was_retired_meanwhile_is_a_conflict(submit: Submit, project: Project) -> None:
    label_set_revise(project=project, labels=[LabelDraft(name="per")], actor=SYSTEM)
    with pytest.raises(LabelRetired) as refused:
        submit([ADA, LONDON])
    assert (refused.value.status, refused.value.pointer) == (409, "/spans/1/label")


def test_an_erased_document_takes_no_correction(submit: Submit, document: Document) -> None:
    from django.utils import timezone

    Document.objects.filter(pk=document.pk).update(text="", redacted_at=timezone.now())
    with pytest.raises(DocumentErased) as refused:
        submit([])
    assert refused.value.status == 410


def test_a_prediction_of_another_document_is_refused(
    submit: Submit, project: Project, prediction: Prediction
) -> None:
    other = document_make(project, "Grace Hopper sailed from Boston.")
    with pytest.raises(OtherText):
        submit([], document=other, prediction=prediction)


@pytest.mark.parametrize(
    ("unit", "start", "end", "code"),
    [
        ("codepoint", 6, 9, None),
        ("utf16", 9, 12, None),
        ("codepoint", 9, 12, "span_beyond_end"),
        ("utf16", 1, 12, "splits_character"),
    ],
)
def test_offsets_count_code_points_unless_utf16_is_asked_for(
    submit: Submit, project: Project, unit: str, start: int, end: int, code: str | None
) -> None:
    family = document_make(project, "👨\u200d👩\u200d👧 Ann")
    call = lambda: submit(  # noqa: E731
        [{"start": start, "end": end, "label": "per"}], document=family, offset_unit=unit
    )
    if code is None:
        assert call().spans == [{"start": 6, "end": 9, "label": "per", "text": "Ann"}]
    else:
        with pytest.raises(SpansRefused) as refused:
            call()
        assert refused.value.code == code


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_save_at_once_one_wins_and_seven_are_told(submit: Submit, document: Document) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def save(index: int) -> None:
        start.wait()
        try:
            submit([{"start": index, "end": index + 1, "label": "per"}], idempotency_key=f"person-{index}")
            outcomes.append("stored")
        except StaleVersion:
            outcomes.append("stale")
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["stale"] * 7 + ["stored"]
    assert Correction.objects.get().number == 1


@pytest.mark.django_db(transaction=True)
def test_one_key_sent_twice_at_once_is_stored_once(submit: Submit, project: Project) -> None:
    other = document_make(project, "Grace Hopper sailed from Boston.")
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def save(index: int) -> None:
        start.wait()
        try:
            target = {"document": other} if index % 2 else {}
            outcomes.append(str(submit([], idempotency_key="once", **target).document_id))
        except DomainError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = str(Correction.objects.get().document_id)
    assert sorted(outcomes) == sorted([stored, stored, "key_reused", "key_reused"])


def test_the_newest_correction_of_each_document_is_what_counts(submit: Submit, project: Project) -> None:
    first = submit([ADA])
    second = submit([ADA, LONDON], base_number=1)
    other = document_make(project, "Grace Hopper sailed from Boston.")
    third = submit([], document=other)

    assert correction_current(second.document) == second
    assert set(corrections_newest(project)) == {second, third}
    assert list(corrections_since(project, first.created_at)) == [second, third]
    assert corrections_since(project, None).count() == 3


def test_a_rating_is_stored_once_per_key(prediction: Prediction, ana: User) -> None:
    first = rating_submit(
        prediction=prediction, score=2, comment="Two wrong.", author=ana, idempotency_key="r"
    )
    again = rating_submit(
        prediction=prediction, score=2, comment="Two wrong.", author=ana, idempotency_key="r"
    )
    assert again == first
    assert Rating.objects.count() == 1
    with pytest.raises(KeyReused):
        rating_submit(prediction=prediction, score=3, author=ana, idempotency_key="r")
    with pytest.raises(DomainError):
        rating_submit(prediction=prediction, score=6, author=ana, idempotency_key="s")
    with pytest.raises(DomainError):
        rating_submit(prediction=prediction, score=1, comment="x" * 2001, author=ana, idempotency_key="t")
