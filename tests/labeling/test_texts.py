"""The page of all texts: filters, search, places, and "next, please"."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.test import Client

from audit.models import AuditEvent
from corpus.errors import Refused
from corpus.models import Project
from corpus.services import document_store
from feedback.models import Stratum
from labeling.errors import TextNotWaiting
from labeling.models import Standing, Task
from labeling.selectors.texts import PAGE, TextsAsked, TextsPage, _filtered, texts_asked, texts_page
from labeling.services import task_claim, task_skip, task_submit
from labeling.services.texts import text_raise
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db

TEXTS = "/projects/orchard/texts/"


@pytest.fixture
def anas(client: Client, ana: User) -> Client:
    client.force_login(ana)
    return client


def page_of(project: Project, *, limit: int = PAGE, **asked: Any) -> TextsPage:
    viewer: Any = AnonymousUser()
    return texts_page(project=project, viewer=viewer, asked=TextsAsked(**asked), limit=limit)


def found(project: Project, **asked: Any) -> list[str]:
    return [row.excerpt for row in page_of(project, **asked).rows]


def test_the_whole_list_is_walked_page_by_page_and_back(queue: Queue, project: Project) -> None:
    queue(count=23)
    for order in ("newest", "oldest", "unsure"):
        everything = page_of(project, order=order).rows
        assert len(everything) == 23
        there, place, pages = [], "", []
        while True:
            page = page_of(project, order=order, after=place, limit=5)
            there += page.rows
            pages.append([row.id for row in page.rows])
            if not page.after:
                break
            place = page.after
        assert [row.id for row in there] == [row.id for row in everything]
        back = [pages.pop()]
        while page.before:
            page = texts_page(
                project=project,
                viewer=AnonymousUser(),
                asked=TextsAsked(order=order, before=page.before),
                limit=5,
            )
            assert page.after, "one came from there"
            back.append([row.id for row in page.rows])
            assert back[-1] == pages.pop()
        assert pages == []


def test_each_filter_keeps_what_it_says(queue: Queue, project: Project, ana: User) -> None:
    document_store(project=project, text="Ann stayed.", source="letters", language="de")
    one, two, three, *_ = queue("Ada wrote.", "Grace moved to London.", "nobody came")
    Task.objects.filter(pk=two.pk).update(stratum=Stratum.RANDOM)
    task_skip(task=three, user=ana, reason="odd")
    task_submit(task=one, user=ana, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    assert found(project, state="skipped") == [three.document.text]
    assert found(project, state="done") == [one.document.text]
    assert two.document.text in found(project, stratum="random")
    assert found(project, source="letters") == found(project, language="de") == ["Ann stayed."]
    assert set(found(project, reviewer=ana.pk)) == {one.document.text, three.document.text}
    assert found(project, label="geo", source="import") == ["Grace moved to London."]
    assert found(project, label="geo", language="de") == []


@pytest.mark.parametrize("walk", [1, 10_000], ids=["by the index of words", "by walking the list"])
@pytest.mark.parametrize("order", ["newest", "oldest", "unsure"])
def test_search_finds_the_same_texts_in_the_same_order_either_way(
    queue: Queue, project: Project, ana: User, monkeypatch: pytest.MonkeyPatch, walk: int, order: str
) -> None:
    queue(count=30)
    monkeypatch.setattr("labeling.selectors.texts.WALK", walk)
    listed = texts_page(project=project, asked=TextsAsked(order=order), viewer=ana, limit=30).rows
    wanted = [row.id for row in listed if "letter" in row.excerpt]
    page = texts_page(project=project, asked=TextsAsked(order=order, q="letter"), viewer=ana, limit=20)
    assert [row.id for row in page.rows] == wanted[:20]
    rest = TextsAsked(order=order, q="letter", after=page.after)
    assert [row.id for row in texts_page(project=project, asked=rest, viewer=ana).rows] == wanted[20:]


def test_search_finds_words_and_exact_phrases(queue: Queue, project: Project) -> None:
    queue("The old apple tree.", "An apple fell; an old tree stood.", "Ørsted målte strøm.")
    assert set(found(project, q="apple tree")) == {
        "The old apple tree.",
        "An apple fell; an old tree stood.",
    }
    assert found(project, q='"apple tree"') == ["The old apple tree."]
    assert found(project, q="apple -fell") == ["The old apple tree."]
    assert found(project, q="ørsted") == ["Ørsted målte strøm."]
    assert found(project, q="???") == []
    assert found(project, q="a & ! ( \" ' : * <") == []


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"word{number:06d}" for number in range(83_000)),
        "x" * 1_000_000,
        "-".join(chr(0x10400 + number % 40) * (1 + number % 7) + str(number) for number in range(30_000)),
        "/".join(f"https://{number}.example.org/a-b-c-{number}" for number in range(15_000)),
        "".join(chr(0x4E00 + number % 20_000) + " " for number in range(400_000)),
    ],
    ids=["words", "one word", "hyphens", "addresses", "ideographs"],
)
def test_no_text_is_too_much_for_the_search_index(project: Project, text: str) -> None:
    document, _ = document_store(project=project, text="needle " + text[:999_000])
    assert page_of(project, q="needle").rows[0].id == document.pk


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sort=text", "unknown_parameter"),
        ("reviewer__password__startswith=a", "unknown_parameter"),
        ("page=-1", "unknown_parameter"),
        ("order=password", "invalid_choice"),
        ("state=open'", "invalid_choice"),
        ("state=new&state=done", "invalid_choice"),
        ("stratum=x", "invalid_choice"),
        ("label=nope", "invalid_choice"),
        ("reviewer=ana", "not_an_integer"),
        ("reviewer=-1", "not_an_integer"),
        ("reviewer=99999999999999999999", "not_an_integer"),
        ("q=%00", "search_refused"),
        (f"q={'x' * 201}", "search_refused"),
        ("after=abc", "invalid_cursor"),
        ("after=%F0%9F%8D%8E", "invalid_cursor"),
        ("after=MjAyNi0wMS0wMSBhYg&before=MjAyNi0wMS0wMSBhYg", "invalid_cursor"),
    ],
)
def test_what_is_unknown_or_malformed_is_refused(
    anas: Client, project: Project, queue: Queue, query: str, code: str
) -> None:
    queue(count=1)
    answer = anas.get(f"{TEXTS}?{query}")
    assert answer.status_code == 400
    assert answer.context["problem"].code == code
    assert "All texts" in answer.content.decode()


def test_a_place_in_one_order_is_none_in_another(queue: Queue, project: Project) -> None:
    queue(count=3)
    place = page_of(project, limit=1).after
    with pytest.raises(Exception, match="no place in the list"):
        texts_asked(project=project, given={"order": ["unsure"], "after": [place]})


def test_the_page_leads_into_the_workbench(anas: Client, queue: Queue) -> None:
    (task,) = queue("Ada <b> moved to London.")
    page = anas.get(TEXTS).content.decode()
    assert f"/projects/orchard/review/?task={task.pk}" in page
    assert "Ada &lt;b&gt; moved" in page


def test_an_empty_project_says_how_texts_come_in(anas: Client, project: Project) -> None:
    assert "import_labeled" in anas.get(TEXTS).content.decode()


def test_the_queries_of_the_page_do_not_grow(
    anas: Client, queue: Queue, django_assert_max_num_queries: Any
) -> None:
    queue(count=3)
    anas.get(TEXTS)
    with django_assert_max_num_queries(20):
        anas.get(TEXTS)
    queue(count=80)
    with django_assert_max_num_queries(22):  # how far to walk, then the index of words
        anas.get(f"{TEXTS}?q=letter")


def test_next_please_comes_before_everything_else(
    anas: Client, queue: Queue, project: Project, ana: User
) -> None:
    tasks = queue(count=30)
    last, before_last = tasks[-1], tasks[-2]
    for task in (last, before_last):
        sent = {"act": "raise", "text": task.document_id, "back": f"{TEXTS}?state=waiting"}
        page = anas.post(f"{TEXTS}act", sent, follow=True)
        assert "comes next" in page.content.decode()
    assert page.redirect_chain == [(f"{TEXTS}?state=waiting", 302)]
    assert page.content.decode().count("asked for next") == 4, "the state and the reason, twice"
    strange = anas.post(f"{TEXTS}act", {**sent, "text": last.document_id, "back": "https://evil.example/"})
    assert strange.headers["Location"] == TEXTS
    assert AuditEvent.objects.filter(action="task.raise").count() == 2, "asking twice changes nothing"
    served = [task_claim(project=project, user=ana)]
    served.append(task_claim(project=project, user=ana, besides=[last.pk]))
    assert served == [last, before_last]


def test_only_what_waits_can_be_asked_for(queue: Queue, project: Project, ana: User, otto: User) -> None:
    (task,) = queue(count=1)
    with pytest.raises(Refused):
        text_raise(project=project, document_id=task.document_id, user=otto)
    task_skip(task=task, user=ana, reason="odd")
    with pytest.raises(TextNotWaiting, match="skipped"):
        text_raise(project=project, document_id=task.document_id, user=ana)


def test_a_text_that_was_left_out_is_asked_when_somebody_wants_it(
    queue: Queue, project: Project, ana: User
) -> None:
    (task,) = queue(count=1)
    document, _ = document_store(project=project, text="Ada wrote.")
    Standing.objects.filter(pk=document.pk).update(state=Standing.State.LEFT_OUT, like=task.document_id)
    assert page_of(project, state="left_out").rows[0].like == task.document.text
    text_raise(project=project, document_id=document.pk, user=ana)
    assert task_claim(project=project, user=ana).document == document  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "asked",
    [TextsAsked(), TextsAsked(state="skipped"), TextsAsked(reviewer=1), TextsAsked(order="unsure")],
    ids=["all", "by state", "by reviewer", "by uncertainty"],
)
def test_each_order_is_read_from_an_index_and_never_sorted(project: Project, asked: TextsAsked) -> None:
    with connection.cursor() as cursor:
        # The application may not gather statistics; what is asked is whether an index gives the order.
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    column = "uncertainty" if asked.order == "unsure" else "arrived_at"
    plan = _filtered(project, asked).order_by(f"-{column}", "-document_id")[:51].explain()
    assert "Index Scan" in plan
    assert "Sort" not in plan


def test_search_and_facets_can_use_their_indexes(project: Project) -> None:
    # In small tables a scan is cheaper; what matters is that the filters are those of the indexes.
    words = SearchQuery("needle", config="simple", search_type="websearch")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "standing_words" in Standing.objects.filter(words=words).explain()
    assert "standing_facets" in Standing.objects.filter(facets__contains=["source:rare"]).explain()
