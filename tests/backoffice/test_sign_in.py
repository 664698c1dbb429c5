"""How people come in: the one-time link, the sign-in page, and what stays closed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from corpus.models import Project
from nerapp import sign_in
from nerapp.sign_in import LinkRefused, link_consume, link_create

pytestmark = pytest.mark.django_db


def address(token: str) -> str:
    return reverse("sign_in_once", args=[token])


def test_a_fresh_installation_has_no_account_at_all() -> None:
    assert not User.objects.exists()


def test_the_link_signs_the_first_admin_in_once(client: Client) -> None:
    token = link_create()
    assert b"Sign in to nerapp" in client.get(address(token)).content
    assert client.post(address(token)).headers["Location"] == reverse("home")
    assert client.get(reverse("admin:index")).status_code == 200
    second = Client()
    assert second.post(address(token)).status_code == 410
    assert second.get(reverse("home")).status_code == 302


def test_looking_at_the_link_does_not_spend_it(client: Client) -> None:
    token = link_create()
    for _ in range(3):
        assert client.get(address(token)).status_code == 200
        assert client.head(address(token)).status_code == 200
    assert client.post(address(token)).status_code == 302


def test_the_first_admin_has_no_password_that_could_be_guessed() -> None:
    link_create()
    assert not User.objects.get().has_usable_password()


def test_a_link_ends_after_a_day(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    token = link_create()
    monkeypatch.setattr(sign_in, "VALID_FOR", timedelta(seconds=-1))
    answer = client.get(address(token))
    assert answer.status_code == 410
    assert b"manage.py signin_link" in answer.content


def test_a_link_ends_when_its_person_signed_in_otherwise(client: Client) -> None:
    token = link_create()
    User.objects.update(last_login=timezone.now())
    assert client.post(address(token)).status_code == 410


def test_a_forged_link_is_refused(client: Client) -> None:
    token = link_create()
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), "x", token.replace(":", "", 1)):
        assert client.post(address(forged)).status_code == 410


def test_a_link_of_a_deactivated_person_is_refused() -> None:
    token = link_create()
    User.objects.update(is_active=False)
    with pytest.raises(LinkRefused):
        link_consume(token=token)


def test_making_a_link_is_in_the_audit_log() -> None:
    link_create()
    assert AuditEvent.objects.get(action="person.sign_in_link").chain == "system"


def test_signing_in_changes_the_session(client: Client) -> None:
    client.get(reverse("account_login"))
    before = client.session.session_key
    client.post(address(link_create()))
    assert client.session.session_key != before


def test_nobody_signs_up_by_themselves(client: Client) -> None:
    body = {"username": "eve", "password1": "a long password!", "password2": "a long password!"}
    answer = client.post(reverse("account_signup"), body)
    assert b"Accounts are made by an admin" in answer.content
    assert not User.objects.filter(username="eve").exists()
    assert not mail.outbox


def test_the_password_opens_the_door_and_a_wrong_one_says_no_more_than_that(
    client: Client, ana: User
) -> None:
    wrong = client.post(reverse("account_login"), {"login": "ana", "password": "wrong"})
    unknown = Client().post(reverse("account_login"), {"login": "nobody", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 200
    assert b"errorlist" in wrong.content
    assert b"errorlist" in unknown.content
    right = client.post(reverse("account_login"), {"login": "ana", "password": "ana has a long password"})
    assert right.headers["Location"] == reverse("home")


def test_too_many_wrong_passwords_close_the_door_even_for_the_right_one(client: Client, ana: User) -> None:
    for _ in range(6):
        client.post(reverse("account_login"), {"login": "ana", "password": "wrong"})
    answer = client.post(reverse("account_login"), {"login": "ana", "password": "ana has a long password"})
    assert answer.status_code == 429


@pytest.mark.parametrize(
    "target", ["//evil.example", "https:evil.example", "\\\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(client: Client, ana: User, target: str) -> None:
    answer = client.post(
        reverse("account_login"), {"login": "ana", "password": "ana has a long password", "next": target}
    )
    assert answer.headers["Location"] == reverse("home")


def test_the_back_office_has_no_second_door(client: Client) -> None:
    answer = client.get(reverse("admin:login"), {"next": "//evil.example"})
    assert answer.headers["Location"] == f"{reverse('account_login')}?next={reverse('admin:index')}"
    assert client.get(reverse("admin:logout")).status_code in {302, 405}


def test_the_home_page_teaches_when_there_is_nothing_yet(client: Client, ada: User, otto: User) -> None:
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    assert b"Create a project" in client.get(reverse("home"), follow=True).content
    client.force_login(otto, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("home"), follow=True).content
    assert b"You are in no project yet" in page
    assert b"Back office" not in page


def test_the_only_project_is_the_home_page(client: Client, ana: User, project: Project) -> None:
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(reverse("home")).headers["Location"] == reverse("labeling:project", args=["orchard"])


def test_from_the_only_project_a_new_one_is_a_link_away(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("home"), follow=True).content.decode()
    assert f'href="{reverse("projects")}"' in page
    assert f'href="{reverse("labeling:project_new")}"' in client.get(reverse("projects")).content.decode()


def test_wrong_addresses_get_a_page_of_ours(client: Client, ana: User) -> None:
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content


@pytest.mark.parametrize("below", ["password/reset/", "email/", "confirm-email/x/"])
def test_pages_that_would_promise_a_mail_are_not_there(client: Client, below: str) -> None:
    assert client.get(f"/accounts/{below}").status_code == 404
