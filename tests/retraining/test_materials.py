"""What a training reads beside the corrections, so that it forgets nothing and learns nothing false."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, label_set_revise
from inference.models import Deployment
from inference.services import deployment_set, version_register
from retraining.models import TrainingRun
from retraining.services import run_queue
from retraining.services.materials import Materials
from retraining.splits import Split
from tests.bundles import WORDS, tiny_bundle
from tests.factories import document_make
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(project: Project, correct: Correct, settings: LazySettings, tmp_path: Path) -> TrainingRun:
    """A run that starts from a model which takes Kent for a place; the project only asks for cultivars."""
    settings.DATA_DIR = tmp_path / "data"
    bundle = tiny_bundle(tmp_path / "bundle", {**WORDS, "Kent": "B-geo"})
    version = version_register(path=bundle, name=project.slug, project=project, actor=SYSTEM)
    slot = Deployment.Slot.CHAMPION
    deployment_set(project=project, slot=slot, version=version, actor=SYSTEM, reason="a start")
    correct(8)
    label_set_revise(project=project, labels=[LabelDraft(name="cultivar")], actor=SYSTEM)
    return run_queue(project=project, actor=SYSTEM, reason="a test")


def test_silence_about_labels_that_reviewers_were_not_asked_for_is_no_denial(run: TrainingRun) -> None:
    # Without this the candidate would learn from every correction that there are no places.
    examples = Materials(run).examples(Split.TRAIN)
    assert examples
    for example in examples:
        assert [span.label for span in example.spans] == ["cultivar", "geo"]
        assert example.text[example.spans[1].start : example.spans[1].end] == "Kent"


def test_reviewers_are_believed_about_the_labels_that_they_were_asked_for(
    run: TrainingRun, project: Project
) -> None:
    label_set_revise(
        project=project, labels=[LabelDraft(name="cultivar"), LabelDraft(name="geo")], actor=SYSTEM
    )
    TrainingRun.objects.all().delete()
    again = run_queue(project=project, actor=SYSTEM, reason="a test")
    assert {span.label for e in Materials(again).examples(Split.TRAIN) for span in e.spans} == {"cultivar"}


def test_it_rehearses_the_bundled_texts_and_those_that_nobody_has_corrected(
    run: TrainingRun, project: Project
) -> None:
    document_make(project, "Nobody has looked at this one.")
    texts = Materials(run).texts()
    assert texts[-1] == "Nobody has looked at this one."
    assert len(texts) > 100
    assert not any("Bramley" in text for text in texts[-3:])


def test_the_champion_keeps_its_labels_and_their_order(run: TrainingRun) -> None:
    assert run.config["labels"][:2] == ["geo", "gpe"]
    assert run.config["labels"][-1] == "cultivar"
