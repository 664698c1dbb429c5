"""A project's numbers: exact, from few queries, and safe whatever a text or a label holds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, document_store, membership_set, project_create
from feedback.models import Correction, QualityEstimate, Stratum
from feedback.selectors import Scope
from feedback.selectors.edits import boundary_moves, decision_examples, surfaces_edited
from feedback.services import quality_estimate, summary_update
from inference.models import Deployment, ModelVersion, Prediction
from labeling.insights import confusion_of, insights_of, label_rows, reliability_of
from labeling.models import Task
from labeling.selectors.overview import pace_of, projects_at_a_glance, quality_of, unsure_of
from tests.decisions import ADA, LONDON, MONDAY, Review, review, version

__all__ = ["review", "version"]

pytestmark = pytest.mark.django_db

NAMES = ("geo", "org", "per", "tim")


@pytest.fixture
def anas(client: Client, ana: User) -> Client:
    client.force_login(ana)
    return client


@pytest.fixture
def champion(project: Project, version: ModelVersion) -> ModelVersion:
    Deployment.objects.create(project=project, slot="champion", version=version)
    return version


def row(decision: str, predicted: str, label: str, spans: int, **more: Any) -> dict[str, Any]:
    return {
        "version_id": 1,
        "decision": decision,
        "predicted_label": predicted,
        "label": label,
        "tenth": None,
        "spans": spans,
        "confidence": 0.0,
        "timed": 0,
        "milliseconds": 0,
        **more,
    }


HAND_MADE = [
    row("accept", "per", "per", 6, tenth=9, confidence=5.7, timed=2, milliseconds=3000),
    row("resize", "per", "per", 2, tenth=5, confidence=1.1),
    row("reject", "per", "", 1, tenth=5, confidence=0.5, timed=1, milliseconds=6000),
    row("relabel", "per", "org", 1, tenth=5, confidence=0.5),
    row("accept", "org", "org", 3, tenth=9, confidence=2.9),
    row("add", "", "geo", 4),
]


def test_the_statistics_of_a_label_are_those_of_its_decisions() -> None:
    geo, org, per = label_rows(HAND_MADE, NAMES)
    assert (geo.name, geo.machine, geo.human, geo.added, bool(geo.kept)) == ("geo", 0, 4, 4, False)
    assert (org.machine, org.human, org.kept.value) == (3, 4, 1.0)
    assert (per.machine, per.human, per.kept.part, per.kept.whole) == (10, 8, 6, 10)
    assert (per.rejected, per.relabelled, per.moved, per.added) == (1, 1, 2, 0)
    assert (per.edited.part, per.edited.value) == (4, 0.4)
    assert (per.seconds, per.timed) == (3.0, 3)
    assert geo.seconds is None


def test_a_retired_label_stands_behind_the_others() -> None:
    rows = label_rows([*HAND_MADE, row("accept", "ancient", "ancient", 1)], NAMES)
    assert [found.name for found in rows] == ["geo", "org", "per", "ancient"]


def test_confusion_shows_what_became_of_each_label_and_what_was_missed() -> None:
    found = confusion_of(HAND_MADE, NAMES)
    assert found.columns == ["geo", "org", "per", ""]
    assert [(line.name, [cell.spans for cell in line.cells]) for line in found.rows] == [
        ("org", [0, 3, 0, 0]),
        ("per", [0, 1, 8, 1]),
        ("", [4, 0, 0, 0]),
    ]
    per = found.rows[1]
    assert [round(cell.share, 2) for cell in per.cells] == [0.0, 0.1, 0.8, 0.1]
    assert [cell.is_right for cell in per.cells] == [False, False, True, False]


def test_reliability_compares_confidence_with_what_people_left() -> None:
    found = reliability_of(HAND_MADE)
    assert found is not None
    low, high = found.tenths
    assert (low.confidence, low.right.part, low.right.whole) == (pytest.approx(0.525), 0, 4)
    assert (high.confidence, high.right.part, high.right.whole) == (pytest.approx(8.6 / 9), 9, 9)
    # |2.1 - 0| + |8.6 - 9| over 13 spans
    assert found.ece == pytest.approx(2.5 / 13)
    assert reliability_of([row("add", "", "geo", 4)]) is None


def test_the_page_tells_hand_made_decisions_exactly(
    review: Review, project: Project, anas: Client, version: ModelVersion
) -> None:
    for minute in range(4):
        review(timezone.now() - timedelta(days=1, minutes=minute))
    summary_update(project=project)
    review(timezone.now(), stratum=Stratum.RANDOM)

    page = anas.get("/projects/orchard/insights/")
    found = page.context["insights"]
    assert (found.machine, found.human) == (15, 10)
    assert [(label.name, label.machine, label.human) for label in found.labels] == [
        ("geo", 0, 5),
        ("org", 5, 0),
        ("per", 5, 5),
        ("tim", 5, 0),
    ]
    # 5 of 5 kept at 0.96, 0 of 5 at 0.61 and 0 of 5 at 1.0 (the last shares its tenth with the first)
    assert found.reliability.ece == pytest.approx((abs(9.8 - 5) + 3.05) / 15)
    assert [(row.surface, row.decision, row.times) for row in found.surfaces] == [
        ("1835", "reject", 5),
        ("London", "relabel", 5),
    ]
    text = page.content.decode()
    assert "15 spans by the model, 10 as people left them." in text
    assert re.search(r"predicted=org&amp;label=geo\"\s*>5 <span class=\"share\">100 %", text)
    assert "tiny@1" in text


@pytest.mark.parametrize(
    ("query", "machine"),
    [
        ("", 3),
        ("period=all", 6),
        ("period=7&stratum=random", 0),
        ("period=all&stratum=uncertain", 6),
        ("period=bogus&version=bogus&stratum=bogus", 3),
        ("period=all&version=999999", 6),
    ],
)
def test_filters_choose_what_is_counted(
    review: Review, project: Project, anas: Client, query: str, machine: int
) -> None:
    review(MONDAY)
    review(timezone.now())
    summary_update(project=project)
    assert anas.get(f"/projects/orchard/insights/?{query}").context["insights"].machine == machine


def test_one_version_is_looked_at_alone(review: Review, anas: Client, version: ModelVersion) -> None:
    review(timezone.now())
    page = anas.get(f"/projects/orchard/insights/?version={version.pk}")
    assert page.context["filters"].version == str(version.pk)
    assert page.context["insights"].machine == 3


def test_an_empty_choice_says_what_fills_it(anas: Client, project: Project) -> None:
    page = anas.get("/projects/orchard/insights/?stratum=random").content.decode()
    assert "No decisions in this choice yet" in page
    assert "Look at all days and texts" in page


def test_the_queries_of_insights_do_not_grow_with_the_decisions(
    review: Review, project: Project, anas: Client, django_assert_max_num_queries: Any
) -> None:
    for minute in range(12):
        review(timezone.now() - timedelta(days=minute))
    summary_update(project=project)
    with django_assert_max_num_queries(24):
        anas.get("/projects/orchard/insights/?period=all")
    with django_assert_max_num_queries(14):
        anas.get("/projects/orchard/insights/examples/?predicted=per&label=per")


def test_a_cell_opens_the_texts_behind_it(review: Review, project: Project, anas: Client) -> None:
    done = review(timezone.now())
    task = Task.objects.create(
        project=project,
        document=done.document,
        prediction=done.prediction,
        stratum="uncertain",
        priority=0.5,
        status="done",
        correction=done,
    )
    page = anas.get("/projects/orchard/insights/examples/?predicted=org&label=geo").content.decode()
    assert re.search(r">Ada Lovelace moved to <mark class=\"hue-2 pattern-0\">London</mark> in 1835", page)
    assert f"?task={task.pk}" in page
    nothing = anas.get("/projects/orchard/insights/examples/?predicted=org&label=org").content.decode()
    assert "No such text among the newest" in nothing


def test_a_word_that_no_text_can_hold_is_not_there(anas: Client, project: Project) -> None:
    assert anas.get("/projects/orchard/insights/examples/?surface=%00").status_code == 404


def test_edges_are_cut_from_the_text_and_told_by_direction(review: Review, project: Project) -> None:
    longer = [{"start": 0, "end": 21, "label": "per"}, {"start": 24, "end": 28, "label": "org"}]
    review(timezone.now(), spans=longer)
    moved = boundary_moves(scope=Scope(project))
    assert (moved.spans, moved.start_out, moved.start_in, moved.end_in, moved.end_out) == (2, 0, 1, 0, 1)
    resized = {
        (found.surface, found.became)
        for found in surfaces_edited(scope=Scope(project))
        if found.decision == "resize"
    }
    assert resized == {("Ada Lovelace", "Ada Lovelace moved to"), ("London", "ndon")}


def test_an_example_at_the_edge_of_a_text_has_no_text_beyond_it(review: Review, project: Project) -> None:
    review(timezone.now())
    (found,) = decision_examples(scope=Scope(project), predicted_label="per", decision="accept")
    assert (found.before, found.surface) == ("", "Ada Lovelace")
    assert found.after.startswith(" moved to London")


def test_what_was_erased_is_in_no_table(review: Review, project: Project) -> None:
    done = review(timezone.now())
    type(done.document).objects.filter(pk=done.document.pk).update(text="", redacted_at=timezone.now())
    assert surfaces_edited(scope=Scope(project)) == []
    assert decision_examples(scope=Scope(project)) == []
    # What was counted holds no text and stays.
    assert insights_of(scope=Scope(project), names=NAMES).machine == 3


@pytest.mark.parametrize(
    "payload",
    ["<script>window.__xss=1</script>", '"><img src=x onerror=window.__xss=1>', "{{ 7 }}' onclick='x"],
)
def test_a_text_and_a_label_are_written_as_text(
    review: Review, project: Project, anas: Client, version: ModelVersion, payload: str
) -> None:
    document, _ = document_store(project=project, text=f"{payload} London")
    prediction = Prediction.objects.create(
        project=project,
        version=version,
        document=document,
        spans=[{"start": 0, "end": len(payload), "label": "per", "text": payload, "confidence": 0.4}],
        uncertainty=0.6,
        latency_ms=1.0,
    )
    done = review(timezone.now(), document=document, prediction=prediction, spans=[])
    Task.objects.create(
        project=project, document=document, prediction=prediction, stratum="uncertain", priority=0.6
    )
    # No service stores such a label; a table that was filled by hand may hold one all the same.
    bodies = [
        anas.get(f"/projects/orchard/{path}").content.decode()
        for path in (
            "",
            "insights/",
            "insights/examples/?predicted=per",
            f"insights/examples/?predicted={payload}",
        )
    ]
    for body in bodies:
        assert payload not in body
    assert done.decisions.get().decision == "reject"


# --- The project's home ---


def test_home_tells_the_speed_of_work_and_leaves_out_what_took_no_time(
    review: Review, project: Project
) -> None:
    now = timezone.now()
    review(now, milliseconds=60_000)
    review(now - timedelta(days=3), milliseconds=120_000)
    review(now - timedelta(days=12), milliseconds=1)
    review(now, milliseconds=0, prediction=None, stratum=Stratum.IMPORT)
    pace = pace_of(project=project)
    assert (pace.today.reviewed, pace.today.per_hour) == (1, 60.0)
    assert (pace.week.reviewed, pace.week.per_hour) == (2, 40.0)
    assert len(pace.days) == 14
    assert [count for _, count in pace.days if count] == [1, 1, 1]


def test_home_tells_live_quality_by_random_checks_alone(
    review: Review, project: Project, champion: ModelVersion, anas: Client
) -> None:
    now = timezone.now()
    for _ in range(3):
        review(now)
    review(
        now,
        stratum=Stratum.RANDOM,
        spans=[ADA, {**LONDON, "label": "org"}, {"start": 13, "end": 18, "label": "eve"}],
    )
    found = quality_of(project=project, version=champion)
    assert (found.kept.part, found.kept.whole) == (3 + 2, 12)
    assert (found.random_kept.part, found.random_kept.whole) == (2, 3)
    assert (found.random_found.part, found.random_found.whole) == (2, 3)
    page = anas.get("/projects/orchard/").content.decode()
    assert "66.7 %" in page
    assert "41.7 %" in page
    assert "(20.8–93.9)" in page
    assert "F1 of live answers" not in page, "nothing was estimated yet"
    quality_estimate(project=project)
    page = " ".join(anas.get("/projects/orchard/").content.decode().split())
    assert "F1 of live answers" in page
    assert "(0.0–100.0)" in page, "one text tells nothing"
    assert "1 random check" in page
    QualityEstimate.objects.filter(label="").update(f1=0.8, low=0.75, high=0.85, documents=400)
    page = " ".join(anas.get("/projects/orchard/").content.decode().split())
    assert "known to ±2 points after 2,100 more random checks" in page


def test_home_names_what_the_model_is_unsure_of(review: Review, project: Project, anas: Client) -> None:
    waiting = review(timezone.now())
    task = Task.objects.create(
        project=project,
        document=waiting.document,
        prediction=waiting.prediction,
        stratum="uncertain",
        priority=0.4,
    )
    found = unsure_of(project=project)
    assert [(label.name, label.spans, label.confidence) for label in found.labels] == [("org", 1, 0.61)]
    assert [(row.surface, row.confidence, row.task_id) for row in found.surfaces] == [
        ("London", 0.61, task.pk)
    ]
    page = anas.get("/projects/orchard/").content.decode()
    assert f"?task={task.pk}" in page


def test_home_counts_decisions_only_of_the_corrections_it_shows(
    review: Review, project: Project, anas: Client
) -> None:
    for minute in range(10):
        review(timezone.now() - timedelta(minutes=minute))
    shown = list(anas.get("/projects/orchard/").context["corrections"])
    assert [correction.decided for _, correction in shown] == [3] * 8
    assert Correction.objects.count() == 10


def test_an_empty_home_teaches(anas: Client, project: Project) -> None:
    page = anas.get("/projects/orchard/").content.decode()
    for words in (
        "First: bring in texts",
        "No model answers for this project yet",
        "A correction is a text as",
    ):
        assert words in page


def test_a_promotion_begins_a_new_account_of_quality(
    review: Review, project: Project, champion: ModelVersion
) -> None:
    review(timezone.now())
    newer = ModelVersion.objects.create(
        name="tiny", number=2, family="baseline", origin="bundled", sha256="y"
    )
    assert not quality_of(project=project, version=newer).kept


def test_the_list_of_projects_tells_what_waits_and_what_you_did_by_few_queries(
    review: Review,
    project: Project,
    champion: ModelVersion,
    anas: Client,
    ana: User,
    ben: User,
    django_assert_num_queries: Any,
) -> None:
    others = [
        project_create(slug=f"other-{n}", name=f"Other {n}", labels=[LabelDraft(name="per")], actor=SYSTEM)
        for n in range(3)
    ]
    waiting = review(timezone.now())
    review(timezone.now(), author=ben)
    review(timezone.now() - timedelta(days=2))
    Task.objects.create(
        project=project,
        document=waiting.document,
        prediction=waiting.prediction,
        stratum="uncertain",
        priority=0.4,
    )
    with django_assert_num_queries(3):
        lines = projects_at_a_glance(projects=[project, *others], user=ana)
    assert [(line.waiting, line.mine_today, line.champion) for line in lines[:2]] == [
        (1, 1, "tiny@1"),
        (0, 0, ""),
    ]
    for other in others:
        membership_set(project=other, user=ana, role="viewer", actor=SYSTEM)
    page = " ".join(anas.get("/projects/").content.decode().split())
    assert '<span class="number">1</span> text waits' in page
    assert '<span class="number">1</span> reviewed by you today' in page
    assert "no model yet" in page
