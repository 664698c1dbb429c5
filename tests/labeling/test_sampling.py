"""Which of the texts that arrive are asked about."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser, User

from corpus.models import Document, Project
from corpus.services import document_store
from feedback.models import Stratum
from inference.models import Prediction
from labeling.choice import draw
from labeling.models import Cover, Fingerprint, Standing, Task
from labeling.selectors import task_reason
from labeling.selectors.texts import TextsAsked, texts_page
from labeling.services import queue_fill, task_claim
from labeling.services.tallies import tallies_check
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db


def shares(project: Project, *, random: float = 0, diverse: float = 0) -> None:
    Project.objects.filter(pk=project.pk).update(random_share=random, diverse_share=diverse)
    project.refresh_from_db()


def test_nearly_the_same_text_is_not_asked_twice(queue: Queue, project: Project) -> None:
    shares(project)
    (first,) = queue("Ada moved to London, in 1835, for good.")
    assert len(queue("ADA moved to London in 1835 - for good!", "Zed stayed at home in Boston.")) == 2
    left = Standing.objects.get(state=Standing.State.LEFT_OUT)
    assert left.like == first.document
    assert not Prediction.objects.filter(document=left.document).exists(), "nothing is spent on it"
    (row,) = texts_page(project=project, viewer=AnonymousUser(), asked=TextsAsked(state="left_out")).rows
    assert row.like == first.document.text
    assert queue_fill(project=project).queued == 0, "it is decided once"
    assert tallies_check(project=project) == []


def test_of_many_in_one_batch_one_is_asked(queue: Queue, project: Project) -> None:
    shares(project)
    tasks = queue(*("Ada moved to London" + "!" * count for count in range(20)))
    assert len(tasks) == 1


def test_random_checks_are_never_left_out(queue: Queue, project: Project) -> None:
    shares(project, random=1)
    assert len(queue(*("Ada moved to London" + "!" * count for count in range(20)))) == 20


def test_the_random_stratum_is_the_same_whatever_is_left_out(queue: Queue, project: Project) -> None:
    for number in range(120):
        document_store(project=project, text="Ada moved to London" + "!" * number)
    queue()
    drawn = {one.pk for one in Document.objects.all() if draw(one.text_hash) < project.random_share}
    random = Task.objects.filter(stratum=Stratum.RANDOM).values_list("document", flat=True)
    assert set(random) == drawn


def test_an_erased_original_leaves_nobody_out(queue: Queue, project: Project, settings: Any) -> None:
    from django.utils import timezone

    shares(project)
    (first,) = queue("Ada moved to London.")
    Document.objects.filter(pk=first.document_id).update(text="", redacted_at=timezone.now())
    assert not Fingerprint.objects.filter(document=first.document_id).exists(), "its numbers go with it"
    assert len(queue("ada moved to london")) == 2


def test_the_diverse_stratum_begins_with_the_unlike(
    queue: Queue, project: Project, ana: User, settings: Any
) -> None:
    settings.MODELS_DIR = django_settings.BASE_DIR / "models"
    shares(project, diverse=1)
    match = "The striker scored {} times and the team won the football match."
    queue(*(match.format(count) for count in ("two", "three", "four", "five")))
    queue("The central bank raised interest rates to slow inflation.")
    bank = Task.objects.latest("id")
    assert bank.stratum == Stratum.DIVERSE
    served = [task_claim(project=project, user=ana)]
    served.append(task_claim(project=project, user=ana, besides=[served[0].pk]))  # type: ignore[union-attr]
    assert bank in served, "the first match and the bank, before more of the same matches"
    assert task_reason(bank).startswith("unlike the others")
    assert Cover.objects.get(project=project).radius == 0


def test_a_filling_that_was_stopped_is_repeated_without_a_trace(queue: Queue, project: Project) -> None:
    from django.db import transaction

    shares(project, diverse=0.5)
    document_store(project=project, text="Ada moved to London.")
    with transaction.atomic():
        queue_fill(project=project)
        transaction.set_rollback(True)
    assert not Fingerprint.objects.exists()
    assert len(queue()) == 1, "its own numbers do not make it a repeat of itself"
