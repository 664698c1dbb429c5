"""`manage.py setup_demo`: the base models on the shelf, and a project to feel the loop by hand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.models import Deployment, ModelVersion
from inference.selectors import deployment_of
from inference.services import base_models_load, deployment_set
from labeling.options import ImportOptions
from labeling.services import file_import, queue_fill
from retraining.services import policy_change

SLUG = "demo"
#: Few enough that a newcomer sees a retraining within five minutes.
NEW_CORRECTIONS = 10
QUIET_SECONDS = 20

LABELS = (
    LabelDraft(
        name="geo",
        title="Place",
        hotkey="1",
        description="places of any size, countries included",
        guideline="Kent, the River Medway, Iraq, Mars. The people of a place are gpe.",
    ),
    LabelDraft(
        name="gpe",
        title="Nationality",
        hotkey="2",
        description="nationalities, peoples and their adjectives",
        guideline="Iraqi, Americans, Dutch. The country itself is geo.",
    ),
    LabelDraft(
        name="org",
        title="Organisation",
        hotkey="3",
        description="companies, agencies, parties, universities, teams",
        guideline="Keepers Nursery, the United Nations, Barcelona when it scores.",
    ),
    LabelDraft(
        name="per",
        title="Person",
        hotkey="4",
        description="persons, with a title directly before the name",
        guideline="Mrs. Larkin, President Sukarno. A bare “president” is nothing.",
    ),
    LabelDraft(
        name="tim",
        title="Time",
        hotkey="5",
        description="weekdays, months, years, dates, decades, “today”",
        guideline="Friday morning, 1948, Christmas. Durations, clock times and seasons are nothing.",
    ),
    LabelDraft(
        name="art",
        title="Work",
        hotkey="6",
        description="named works and things: books, films, ships, laws, prizes",
    ),
    LabelDraft(name="eve", title="Event", hotkey="7", description="named wars, games and tournaments"),
    LabelDraft(
        name="nat",
        title="Nature",
        hotkey="8",
        description="named storms, viruses and the diseases named after them",
    ),
    LabelDraft(
        name="cultivar",
        title="Cultivar",
        hotkey="c",
        description="named fruit varieties, trade names and rootstocks",
        guideline=(
            "Braeburn, Pink Lady, M9, also short: Cox. Not the fruit: in “Braeburn apples” only Braeburn.\n"
            "The base model does not know this label: your corrections teach it."
        ),
    ),
    LabelDraft(
        name="pest",
        title="Pest",
        hotkey="p",
        description="named insects, mites, diseases and fruit disorders",
        guideline=(
            "codling moth, Erwinia amylovora, bitter pit; the bare scab, canker, mildew, rust as diseases."
            " Not “aphids” or “mites” alone.\nThe base model does not know this label either."
        ),
    ),
)


class Command(BaseCommand):
    help = "Load the bundled base models and make the demo project. Safe to repeat: what exists is kept."

    def handle(self, *args: Any, **options: Any) -> None:
        base_models_load(actor=SYSTEM)
        project = Project.objects.filter(slug=SLUG).first()
        is_new = project is None
        if project is None:
            project = project_create(slug=SLUG, name="Orchard demo", labels=LABELS, actor=SYSTEM)
        self._deploy(project)
        if is_new:
            policy_change(
                project=project,
                actor=SYSTEM,
                reason="The demo retrains while you watch.",
                new_corrections=NEW_CORRECTIONS,
                quiet_seconds=QUIET_SECONDS,
            )
        texts = settings.CORPORA_DIR / "demo.txt"
        job, was_there = file_import(project=project, path=texts, options=ImportOptions(format="text"))
        new = 0 if was_there else job.counts["new"]
        filled = queue_fill(project=project)
        self.stdout.write(
            f"Project {project.slug}: {new} texts imported, {filled.queued} queued for review,"
            f" {NEW_CORRECTIONS} corrections start a retraining."
        )

    def _deploy(self, project: Project) -> None:
        if deployment_of(project) is not None:
            return
        best = ModelVersion.objects.filter(project=None, family="flagship").order_by("-number").first()
        if best is not None:
            deployment_set(
                project=project,
                slot=Deployment.Slot.CHAMPION,
                version=best,
                actor=SYSTEM,
                reason="The best bundled model answers first.",
            )
