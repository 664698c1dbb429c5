"""The demo project: everything a newcomer needs, and safe to make again."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command

from corpus.models import Project
from corpus.selectors import label_set_current
from inference.selectors import champion_of
from labeling.models import Task
from retraining.selectors import policy_of
from tests.bundles import tiny_bundle

pytestmark = pytest.mark.django_db


def run() -> str:
    out = io.StringIO()
    call_command("setup_demo", stdout=out)
    return out.getvalue()


def test_it_makes_a_project_in_which_the_loop_can_be_felt(settings: Any) -> None:
    tiny_bundle(settings.MODELS_DIR / "flagship", family="flagship")
    assert "40 texts imported, 40 queued" in run()
    project = Project.objects.get(slug="demo")
    names = [label.name for label in label_set_current(project=project).labels.all()]
    assert names == ["geo", "gpe", "org", "per", "tim", "art", "eve", "nat", "cultivar", "pest"]
    assert champion_of(project).family == "flagship"
    policy = policy_of(project=project)
    assert (policy.new_corrections, policy.quiet_seconds) == (10, 20)
    assert Task.objects.filter(project=project).count() == 40


def test_making_it_again_changes_nothing(settings: Any) -> None:
    tiny_bundle(settings.MODELS_DIR / "flagship", family="flagship")
    run()
    project = Project.objects.get(slug="demo")
    project.name = "Renamed"
    project.save()
    assert "0 texts imported, 0 queued" in run()
    assert Project.objects.get(slug="demo").name == "Renamed"
    assert Task.objects.count() == 40


def test_without_bundled_models_people_start_from_empty_texts() -> None:
    run()
    project = Project.objects.get(slug="demo")
    assert champion_of(project).origin == "blank"
    assert Task.objects.filter(prediction__spans=[]).count() == 40
