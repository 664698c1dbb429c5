"""`python -m bench.labeling.queue`: what a reviewer waits for in a project of 10,000 and of 1,000,000 texts.

Each size gets a nerapp of its own, filled by SQL with the triggers off (standings and counters are written as
the triggers would, and `tallies_check` says so), a text and its review every half minute. Then the real views
answer, the sizes in turn, each in one process: the next task with its text, the list of texts in each order,
under each filter, far down and searched, and the home. `SCALE` is the larger size. Keys: milliseconds at the
larger size; `growth` is the worst ratio of medians.
"""

from __future__ import annotations

import html
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.serving.site import Site, running
from nerapp import env

SMALL = 10_000
ROUNDS = 60
HOST = {"HTTP_HOST": "127.0.0.1"}

#: One statement after another, as the superuser and without triggers. Seven texts of ten wait, two are done.
FILL = """
SET session_replication_role = replica;
SET maintenance_work_mem = '256MB';
SET work_mem = '128MB';
DROP INDEX standing_words, standing_facets;
CREATE TEMP TABLE seeds AS
    SELECT n, gen_random_uuid() AS document, gen_random_uuid() AS prediction, gen_random_uuid() AS correction,
        md5(n::text) || md5('x' || n) AS hash, random() AS score, now() - n * interval '30 s' AS at,
        CASE WHEN n % 10 < 7 THEN 'open' WHEN n % 10 < 9 THEN 'done' ELSE 'skipped' END AS status,
        CASE WHEN n % 10 IN (0, 8) THEN 'random' WHEN n % 10 = 1 THEN 'diverse' ELSE 'uncertain' END
            AS stratum
    FROM generate_series(1, {n}) n;
INSERT INTO corpus_document
    (id, project_id, text, text_hash, source, external_id, language, metadata, created_at)
    SELECT document, {project}, 'Ada wrote letter ' || n || ' to ' || (ARRAY['Ann','Grace','Zed'])[1 + n % 3]
        || ' in London about the ' || CASE WHEN n % 10 = 0 THEN 'orchard' ELSE 'engine' END
        || CASE WHEN n % 100 = 0 THEN ' and its apples' ELSE ' and its wheels' END
        || CASE WHEN n % ({n} / 20) = 0 THEN ' with a needle' ELSE '' END,
        hash, CASE WHEN n % 100 = 0 THEN 'letters' ELSE 'import' END, 'doc-' || n, 'en', '{{}}', at
    FROM seeds;
INSERT INTO inference_prediction
    (id, project_id, version_id, document_id, text, spans, uncertainty, language, slot, latency_ms,
     request_id, created_at)
    SELECT prediction, {project}, {version}, document, '',
        '[{{"start":0,"end":3,"label":"per","text":"Ada","confidence":0.7}}]', score, '', 'champion', 1, '',
        at
    FROM seeds;
INSERT INTO feedback_correction
    (id, project_id, document_id, number, prediction_id, label_set_id, author_id, stratum, spans,
     milliseconds, idempotency_key, request_digest, created_at)
    SELECT correction, {project}, document, 1, prediction, {label_set}, {person}, stratum,
        '[{{"start":0,"end":3,"label":"per","text":"Ada"}}]', 4000, n::text, '', at FROM seeds
    WHERE status = 'done';
INSERT INTO labeling_task
    (project_id, document_id, prediction_id, version_id, stratum, priority, cause, status, claimed_by_id,
     correction_id, skip_reason, created_at, closed_at)
    SELECT {project}, document, prediction, {version}, stratum, score, '', status,
        CASE WHEN status <> 'open' THEN {person} END, CASE WHEN status = 'done' THEN correction END, '', at,
        CASE WHEN status <> 'open' THEN at END FROM seeds;
INSERT INTO labeling_standing
    (document_id, project_id, state, reviewer_id, arrived_at, uncertainty, facets, words)
    SELECT document, {project}, CASE status WHEN 'open' THEN 'waiting' ELSE status END,
        CASE WHEN status <> 'open' THEN {person} END, at, score,
        ARRAY['source:' || CASE WHEN n % 100 = 0 THEN 'letters' ELSE 'import' END, 'language:en',
            'stratum:' || stratum, 'label:per'], labeling_words(text)
    FROM seeds JOIN corpus_document ON id = document;
INSERT INTO labeling_tally (project_id, kind, state, stratum, change)
    SELECT project_id, 'task', status, stratum, count(*) FROM labeling_task GROUP BY 1, 3, 4
    UNION ALL SELECT project_id, 'text', state, '', count(*) FROM labeling_standing GROUP BY 1, 3;
{indexes};
VACUUM ANALYZE
"""


def measure(scale: int = 1_000_000) -> dict[str, float]:
    """Both sizes at once, asked in turn, so that a machine that changes its speed changes it for both."""
    with running() as one, running() as other, _filled(one, SMALL) as small, _filled(other, scale) as large:
        taken = {
            name: (small_taken, large_taken) for name, small_taken, large_taken in _in_turn(small, large)
        }
    growth = {name: statistics.median(many) / statistics.median(few) for name, (few, many) in taken.items()}
    for name, times in taken.items():
        figures = "".join(f" {statistics.median(each):7.1f} {_p95(each):7.1f}" for each in times)
        print(f"{name:24}{figures}  x{growth[name]:.2f}", file=sys.stderr)
    return {
        "queue_next_p95_ms": round(_p95(taken["next"][1]), 1),
        "list_p95_ms": round(max(_p95(many) for name, (_, many) in taken.items() if name != "next"), 1),
        "growth": round(max(growth.values()), 2),
    }


def _in_turn(*sizes: subprocess.Popen[str]) -> Iterator[tuple[Any, ...]]:
    """(name, milliseconds at each size, ...), one act after the other."""
    while all(names := [_line(size) for size in sizes]):
        taken: list[list[float]] = [[] for _ in sizes]
        for _ in range(ROUNDS):
            for size, times in zip(sizes, taken, strict=True):
                assert size.stdin
                print("go", file=size.stdin, flush=True)
                times.append(float(_line(size)))
        yield names[0], *taken


def _line(size: subprocess.Popen[str]) -> str:
    assert size.stdout
    return size.stdout.readline().strip()


def _p95(taken: list[float]) -> float:
    return sorted(taken)[int(0.95 * len(taken))]


@contextmanager
def _filled(site: Site, texts: int) -> Iterator[subprocess.Popen[str]]:
    """A process of this module with the site's settings, that waits to be asked."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.labeling.queue", "fill_and_answer", str(texts)],
        cwd=env.PROJECT,
        env={**site.environ, "SUPERUSER_URL": site.postgres.superuser_url()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        if process.wait():
            raise RuntimeError(f"the process that holds {texts} texts ended with {process.returncode}")
    finally:
        process.kill()


def fill_and_answer(texts: int) -> None:
    """Inside the site: fill a project; then print each act's name, do it once for each line that comes."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from feedback.services import summaries_update
    from labeling.services.tallies import tallies_check

    person = User.objects.create_superuser("ana")
    project = _project_make()
    _fill(project, person.pk, texts)
    if texts <= SMALL and (wrong := tallies_check(project=project)):
        raise RuntimeError(f"the bench wrote counters that the rows do not bear out: {wrong}")
    summaries_update()  # as the beat does every minute
    client = Client(**HOST)
    client.force_login(person)
    for name, act in _acts(client):
        for _ in range(3):
            _timed(act)
        print(name, flush=True)
        for _ in range(ROUNDS):
            sys.stdin.readline()
            print(_timed(act), flush=True)


def _project_make() -> Any:
    from audit.services import SYSTEM
    from corpus.services import LabelDraft, project_create
    from labeling.services import queue_fill

    project = project_create(
        slug="bench", name="Bench", labels=[LabelDraft(name="per"), LabelDraft(name="geo")], actor=SYSTEM
    )
    queue_fill(project=project)  # a cold start: the blank version becomes the champion
    return project


def _fill(project: Any, person: int, texts: int) -> None:
    import psycopg2
    from django.db import connection

    from corpus.selectors import label_set_current
    from inference.selectors import champion_of

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname IN ('standing_words', 'standing_facets')"
        )
        indexes = ";\n".join(definition for (definition,) in cursor.fetchall())
        name = connection.settings_dict["NAME"]
    statements = FILL.format(
        n=texts,
        project=project.pk,
        version=champion_of(project).pk,
        label_set=label_set_current(project=project).pk,
        person=person,
        indexes=indexes,
    )
    other = psycopg2.connect(os.environ["SUPERUSER_URL"].rsplit("/", 1)[0] + f"/{name}")
    other.autocommit = True
    with other.cursor() as cursor:
        for statement in statements.split(";\n"):
            cursor.execute(statement)
    other.close()


def _acts(client: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    texts = "/projects/bench/texts/"

    def get(path: str) -> Callable[[], Any]:
        def act() -> Any:
            answer = client.get(path)
            assert answer.status_code == 200, answer.content[:500]
            return answer

        return act

    def claim() -> Any:
        return client.post("/projects/bench/review/next", {}, content_type="application/json")

    def submit(answer: Any) -> None:
        task = answer.json()["task"]
        body = {"spans": [], "base_number": 0, "idempotency_key": f"k{task['id']}"}
        path = f"/projects/bench/review/tasks/{task['id']}/submit"
        done = client.post(path, body, content_type="application/json")
        assert done.status_code == 200, done.content[:500]

    claim.after = submit  # type: ignore[attr-defined]
    yield "next", claim
    yield "home", get("/projects/bench/")
    yield "rail", get("/projects/bench/review/queue")
    for query in ("", "order=oldest", "order=unsure", "state=skipped", "state=done&stratum=random"):
        yield f"texts {query}".strip(), get(f"{texts}?{query}")
    for query in ("source=letters", "label=per&state=waiting", "reviewer=1"):
        yield f"texts {query}", get(f"{texts}?{query}")
    for words in ("needle", "apples", "orchard", "letter", '"letter+777"', "apples+-orchard"):
        yield f"search {words}", get(f"{texts}?q={words}")
    place = texts + "?order=oldest"
    for _ in range(20):
        page = client.get(place).content.decode()
        place = texts + html.unescape(re.findall(r'href="([^"]*)"\s+rel="next"', page)[0])
    yield "texts after 20 pages", get(place)


def _timed(act: Callable[[], Any]) -> float:
    """Milliseconds. What comes after the act is done, and not counted."""
    started = time.perf_counter()
    answer = act()
    taken = 1000 * (time.perf_counter() - started)
    getattr(act, "after", lambda _: None)(answer)
    return taken


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill_and_answer"]:
        fill_and_answer(int(sys.argv[2]))
    else:
        print(json.dumps(measure(int(os.environ.get("SCALE", "1000000")))))
