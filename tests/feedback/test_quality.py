"""How good live answers are: from random texts alone, from what was said of the machine's own answers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Document, Project
from feedback.models import QualityEstimate, Stratum
from feedback.selectors import quality_by_label, quality_newest, quality_trend
from feedback.services import correction_submit, quality_estimate, quality_update
from inference.models import ModelVersion, Prediction
from inference.services import api_key_create
from tests.decisions import ADA, LONDON, MACHINE, Review, review
from tests.factories import document_make
from tests.inference.conftest import Post

__all__ = ["review"]

pytestmark = pytest.mark.django_db

#: What people leave where the machine was right altogether.
ALL_RIGHT = [{key: span[key] for key in ("start", "end", "label")} for span in MACHINE]


@pytest.fixture
def version(champion: ModelVersion) -> ModelVersion:
    """The champion gave the answers that are reviewed."""
    return champion


@pytest.fixture
def at_random(review: Review) -> Review:
    """A review, now, of a text that was drawn at random."""

    def call(**changed):
        return review(timezone.now(), **({"stratum": Stratum.RANDOM} | changed))

    return call


def counted(project: Project, version: ModelVersion, label: str = "") -> tuple[int, int, int, int]:
    found = quality_newest(project, version, label)
    assert found is not None
    return found.tp, found.fp, found.fn, found.documents


def test_it_counts_what_people_changed(at_random: Review, project: Project, version: ModelVersion) -> None:
    for _ in range(6):
        at_random()
    quality_estimate(project=project)
    assert counted(project, version) == (6, 12, 6, 6)
    assert counted(project, version, "geo") == (0, 0, 6, 6)
    assert counted(project, version, "org") == (0, 6, 0, 6)
    found = quality_newest(project, version)
    assert found is not None
    assert found.f1 == pytest.approx(2 * 6 / (2 * 6 + 12 + 6))
    assert found.low < found.f1 < found.high
    assert [one.label for one in quality_by_label(project, version)] == ["", "geo", "per", "org", "tim"]


@pytest.mark.parametrize("stratum", [one for one in Stratum if one not in (Stratum.RANDOM, Stratum.IMPORT)])
def test_only_texts_drawn_at_random_count(
    stratum: Stratum, at_random: Review, project: Project, version: ModelVersion
) -> None:
    for _ in range(6):
        at_random(spans=ALL_RIGHT)
        at_random(stratum=stratum)
    quality_estimate(project=project)
    assert counted(project, version) == (18, 0, 0, 6)


def test_only_the_first_word_on_an_answer_counts(
    at_random: Review, project: Project, version: ModelVersion
) -> None:
    first = at_random(spans=ALL_RIGHT)
    at_random(document=first.document, prediction=first.prediction, spans=[ADA], base_number=1)
    # Looked at for being hard, and drawn later: a person's spans were what the second one started from.
    hard = at_random(stratum=Stratum.UNCERTAIN)
    at_random(document=hard.document, prediction=hard.prediction, spans=[LONDON], base_number=1)
    quality_estimate(project=project)
    assert counted(project, version) == (3, 0, 0, 1)


def test_each_version_answers_for_itself(at_random: Review, project: Project, version: ModelVersion) -> None:
    other = ModelVersion.objects.create(
        name="tiny", number=2, family="baseline", origin="bundled", sha256="y"
    )
    document = document_make(project, "Ada Lovelace moved to London in 1835, they say.")
    answered = Prediction.objects.create(
        project=project, version=other, document=document, spans=MACHINE, uncertainty=0.1, latency_ms=1.0
    )
    at_random(document=document, prediction=answered, spans=ALL_RIGHT)
    at_random()
    quality_estimate(project=project)
    assert counted(project, other) == (3, 0, 0, 1)
    assert counted(project, version) == (1, 2, 1, 1)


def test_a_text_without_entities_counts_as_a_text(
    at_random: Review, project: Project, version: ModelVersion
) -> None:
    document = document_make(project, "Nothing here.")
    empty = Prediction.objects.create(
        project=project, version=version, document=document, spans=[], uncertainty=0.1, latency_ms=1.0
    )
    at_random(document=document, prediction=empty, spans=[])
    at_random()
    quality_estimate(project=project)
    assert counted(project, version) == (1, 2, 1, 2)


def test_counting_again_changes_nothing_and_today_has_one_row(
    at_random: Review, project: Project, version: ModelVersion
) -> None:
    at_random()
    quality_update()
    before = counted(project, version)
    quality_update()
    assert counted(project, version) == before
    at_random()
    quality_update()
    assert counted(project, version)[3] == 2
    assert QualityEstimate.objects.filter(label="").count() == 1


def test_what_nobody_reviewed_since_is_not_counted_again(
    at_random: Review, project: Project, version: ModelVersion
) -> None:
    at_random()
    quality_estimate(project=project)
    later = timezone.now() + timedelta(hours=1)
    QualityEstimate.objects.update(at=later)
    quality_estimate(project=project)
    assert set(QualityEstimate.objects.values_list("at", flat=True)) == {later}


def test_the_trend_has_a_row_for_each_day(at_random: Review, project: Project, version: ModelVersion) -> None:
    at_random()
    quality_estimate(project=project)
    QualityEstimate.objects.update(day=timezone.now().date() - timedelta(days=1))
    at_random(spans=ALL_RIGHT)
    quality_estimate(project=project)
    first, second = quality_trend(project)
    assert first.day < second.day
    assert (first.documents, second.documents) == (1, 2)
    assert first.f1 < second.f1


def test_an_erased_text_still_counts_for_it_holds_no_words(
    at_random: Review, project: Project, version: ModelVersion
) -> None:
    correction = at_random()
    Document.objects.filter(pk=correction.document_id).update(redacted_at=timezone.now())
    quality_estimate(project=project)
    assert counted(project, version)[3] == 1


def test_what_nobody_answered_says_nothing(
    at_random: Review, project: Project, version: ModelVersion, ana: User
) -> None:
    correction_submit(
        document=document_make(project, "Ada Lovelace moved to Paris."),
        spans=[ADA],
        base_number=0,
        author=ana,
        prediction=None,
        stratum=Stratum.RANDOM,
        milliseconds=1,
        idempotency_key="by hand",
    )
    quality_estimate(project=project)
    assert not QualityEstimate.objects.exists()


def test_the_api_tells_it_of_the_champion(
    at_random: Review, project: Project, version: ModelVersion, get: Post
) -> None:
    body = get("quality").json()
    assert (body["version"], body["total"], body["documents"], body["trend"]) == ("tiny@1", None, 0, [])
    for _ in range(8):
        at_random()
    quality_estimate(project=project)
    body = get("quality").json()
    assert body == get("quality?model=tiny@1").json()
    assert body["documents"] == 8
    assert body["total"]["f1"] == 0.4
    assert body["total"]["low"] < 0.4 < body["total"]["high"]
    assert body["total"]["reviews_needed"] is not None
    assert body["labels"]["per"]["f1"] == 1
    assert [day["documents"] for day in body["trend"]] == [8]
    assert get("quality?model=tiny@9").status_code == 404
    assert get("quality?version=tiny@1").json()["code"] == "unknown_parameter"


def test_it_takes_a_key_that_may_read_versions(project: Project, version: ModelVersion, get: Post) -> None:
    _, secret = api_key_create(project=project, name="other", scopes=["predict"], actor=SYSTEM)
    assert get("quality", Authorization=f"Bearer {secret}").status_code == 403


def test_operators_see_it_for_each_slot(
    at_random: Review, project: Project, version: ModelVersion, get: Post
) -> None:
    for _ in range(3):
        at_random()
    quality_estimate(project=project)
    lines = get("metrics").content.decode().splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("ner_live"))
    assert told['ner_live_f1{project="orchard",slot="champion"}'] == "0.4"
    assert told['ner_live_reviewed{project="orchard",slot="champion"}'] == "3.0"
