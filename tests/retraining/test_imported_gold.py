"""What was imported teaches, judges nothing, and says nothing about reviewers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.models import Project
from feedback.models import DailyDecisions, Stratum
from feedback.services import summary_update
from retraining.models import TrainingSetItem
from retraining.selectors import corrections_new
from retraining.services.sets import training_set_examples, training_set_freeze
from tests.labeling.transfer import imported, jsonl, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def gold(project: Project, tmp_path: Path, settings: Any) -> Project:
    """A project of forty imported texts and nothing else."""
    settings.DATA_DIR = tmp_path / "data"
    imported(project, tmp_path, jsonl(*(row(f"Ada wrote letter {n}.", (0, 3, "per")) for n in range(40))))
    return project


def test_imported_corrections_train_and_never_sit_in_the_exam(gold: Project) -> None:
    training_set = training_set_freeze(project=gold)
    assert training_set.counts["test"] == 0
    assert training_set.counts["train"] + training_set.counts["dev"] == 40
    examples = training_set_examples(training_set=training_set, split=TrainingSetItem.Split.TRAIN)
    assert {(span.start, span.end, span.label) for e in examples for span in e.spans} == {(0, 3, "per")}


def test_imported_corrections_count_towards_the_next_retraining(gold: Project) -> None:
    assert corrections_new(project=gold).count() == 40


def test_no_decision_is_counted_for_what_nobody_here_decided(gold: Project) -> None:
    summary_update(project=gold)
    assert not DailyDecisions.objects.filter(stratum=Stratum.IMPORT).exists()
