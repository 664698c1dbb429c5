"""Who gets what from which address. A new address without a row here fails the build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from corpus.models import Project

SIGN_IN = 302
#: name -> (method, what each of anonymous, otto (of no project), vera (viewer), ana (reviewer) gets).
#: Machines' addresses take API keys only: a session opens nothing there.
PAGES: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "language": ("post", (302, 302, 302, 302)),
    "home": ("get", (SIGN_IN, 302, 302, 302)),
    "projects": ("get", (SIGN_IN, 200, 200, 200)),
    "labeling:project_new": ("get", (SIGN_IN, 403, 403, 403)),
    "help": ("get", (SIGN_IN, 200, 200, 200)),
    "sign_in_once": ("get", (410, 410, 410, 410)),
    "labeling:project": ("get", (SIGN_IN, 404, 200, 200)),
    "labeling:texts": ("get", (SIGN_IN, 404, 200, 200)),
    "labeling:texts_act": ("post", (SIGN_IN, 404, 403, 404)),
    "labeling:insights": ("get", (SIGN_IN, 404, 200, 200)),
    "labeling:insights_examples": ("get", (SIGN_IN, 404, 200, 200)),
    "labeling:propagations": ("get", (SIGN_IN, 404, 403, 200)),
    "labeling:propagation_new": ("get", (SIGN_IN, 404, 403, 400)),
    "labeling:propagation_make": ("post", (SIGN_IN, 404, 403, 302)),
    "labeling:propagation_back": ("post", (SIGN_IN, 404, 403, 404)),
    "labeling:occurrences": ("get", (401, 404, 403, 400)),
    "labeling:propagate": ("post", (401, 404, 403, 400)),
    "labeling:imports": ("get", (SIGN_IN, 404, 403, 200)),
    "labeling:import": ("get", (SIGN_IN, 404, 403, 403)),
    "labeling:import_state": ("get", (SIGN_IN, 404, 403, 403)),
    "labeling:import_cancel": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:import_errors": ("get", (SIGN_IN, 404, 403, 403)),
    "labeling:exports": ("get", (SIGN_IN, 404, 403, 200)),
    "labeling:export": ("get", (SIGN_IN, 404, 403, 404)),
    "labeling:export_state": ("get", (SIGN_IN, 404, 403, 404)),
    "labeling:export_cancel": ("post", (SIGN_IN, 404, 403, 404)),
    "labeling:export_file": ("get", (SIGN_IN, 404, 403, 404)),
    "labeling:adjudication": ("get", (SIGN_IN, 404, 403, 200)),
    "labeling:adjudicate": ("post", (401, 404, 403, 404)),
    "labeling:agreement": ("get", (SIGN_IN, 404, 200, 200)),
    "labeling:disputes": ("get", (SIGN_IN, 404, 403, 200)),
    "labeling:team": ("get", (SIGN_IN, 404, 200, 200)),
    "labeling:team_settings": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:assign": ("post", (SIGN_IN, 404, 403, 302)),
    "labeling:unassign": ("post", (SIGN_IN, 404, 403, 302)),
    "labeling:assignment_rule": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:assignment_rule_end": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:member_add": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:member_change": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:member_remove": ("post", (SIGN_IN, 404, 403, 403)),
    "labeling:person": ("get", (SIGN_IN, 404, 404, 404)),
    "labeling:review": ("get", (SIGN_IN, 404, 403, 200)),
    "labeling:next": ("post", (401, 404, 403, 200)),
    "labeling:queue": ("get", (401, 404, 403, 200)),
    "labeling:task": ("get", (401, 404, 403, 404)),
    "labeling:submit": ("post", (401, 404, 403, 404)),
    "labeling:skip": ("post", (401, 404, 403, 404)),
    "labeling:renew": ("post", (401, 404, 403, 404)),
    "labeling:release": ("post", (401, 404, 403, 404)),
    "labeling:comment": ("post", (401, 404, 403, 404)),
    "labeling:comment_resolve": ("post", (401, 404, 403, 404)),
}
MACHINES: dict[str, str] = {
    "predict": "post",
    "predict_batch": "post",
    "predict_route": "post",
    "api_jobs": "post",
    "api_job": "get",
    "api_job_cancel": "post",
    "api_job_result": "get",
    "token": "post",
    "label_studio_health": "get",
    "label_studio_setup": "post",
    "label_studio_predict": "post",
    "label_studio_webhook": "post",
    "models": "get",
    "models_comparison": "get",
    "model": "get",
    "rollouts": "get",
    "rollout": "get",
    "rollout_approve": "post",
    "rollout_pause": "post",
    "rollout_resume": "post",
    "rollout_roll_back": "post",
    "feedback": "post",
    "quality": "get",
    "api_drift": "get",
    "api_drift_report": "get",
    "api_retraining_decisions": "get",
    "api_lineage": "get",
    "api_why": "get",
    "api_imports": "post",
    "api_import": "get",
    "api_import_cancel": "post",
    "api_exports": "post",
    "api_export": "get",
    "api_export_cancel": "post",
    "api_export_file": "get",
    "api_experiments": "post",
    "api_experiment_estimate": "post",
    "api_experiment": "get",
    "api_experiment_start": "post",
    "api_experiment_stop": "post",
    "api_experiment_conclude": "post",
}
#: Open to everybody, by decision: they say nothing about a project.
#: `health` says more to operators (tests/inference).
OPEN = {"live", "ready", "health", "schema", "docs"}
#: For operators: staff by session, machines by the `ops` scope.
OPERATORS = {"metrics"}
BODIES: dict[str, dict[str, Any]] = {
    "labeling:submit": {"spans": [], "base_number": 0, "idempotency_key": "k"},
    "labeling:propagate": {"surface": "", "label": "", "places": []},
    "labeling:skip": {"reason": "unsure"},
    "labeling:adjudicate": {"spans": [], "base_number": 0, "idempotency_key": "k"},
    "labeling:comment": {"body": "unsure", "idempotency_key": "k"},
    "labeling:comment_resolve": {"resolved": True},
}
ARGUMENTS = {
    "slug": "orchard",
    "task_id": 1,
    "comment_id": 1,
    "rule_id": 1,
    "report_id": 1,
    "user_id": 0,
    "reference": "flagship@1",
    "token": "x",
    "propagation_id": 1,
    "document_id": UUID(int=1),
    "job_id": UUID(int=1),
    "rollout_id": 1,
    "experiment_id": 1,
}


def addresses(
    patterns: list[URLPattern | URLResolver] | None = None, space: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            # Django's admin has a matrix of its own (tests/backoffice); allauth tests its own pages.
            if str(pattern.pattern) not in {"admin/", "accounts/"}:
                inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
                yield from addresses(pattern.url_patterns, inner)
        elif pattern.name:
            yield space + pattern.name, pattern


def url_of(name: str) -> str:
    pattern = dict(addresses())[name].pattern
    return reverse(name, kwargs={key: ARGUMENTS[key] for key in pattern.converters})


def ask(client: Client, name: str, method: str) -> int:
    call = getattr(client, method)
    options: dict[str, Any] = {}
    if method == "post":
        options = {"data": BODIES.get(name, {}), "content_type": "application/json"}
    return int(call(url_of(name), **options).status_code)


def test_every_address_has_a_row() -> None:
    assert {name for name, _ in addresses()} == {*PAGES, *MACHINES, *OPEN, *OPERATORS}


@pytest.fixture
def vera(project: Project) -> User:
    """Vera may look and not touch."""
    from tests.people import member

    return member(project, "vera", "viewer")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_people_get_what_their_role_allows(name: str, otto: User, vera: User, ana: User) -> None:
    method, expected = PAGES[name]
    got = []
    for person in (None, otto, vera, ana):
        client = Client()
        if person:
            client.force_login(person)
        got.append(ask(client, name, method))
    assert tuple(got) == expected


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_machines_addresses_take_keys_and_no_session(name: str, ada: User, project: Project) -> None:
    client = Client()
    assert ask(client, name, MACHINES[name]) == 401
    client.force_login(ada)
    assert ask(client, name, MACHINES[name]) == 401


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_operators_addresses_are_closed_to_everybody_else(name: str, ana: User, ada: User) -> None:
    client = Client()
    assert ask(client, name, "get") in {401, 404}
    client.force_login(ana)
    assert ask(client, name, "get") in {401, 403, 404}
    client.force_login(ada)
    assert ask(client, name, "get") == 200


@pytest.mark.parametrize("name", sorted(OPEN - {"ready", "health"}))
def test_open_addresses_answer_anybody(name: str, db: None) -> None:
    assert ask(Client(), name, "get") == 200
