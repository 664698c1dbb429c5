"""Mails by a server with TLS and a login: private or not at all, and a refusal says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from audit.services import SYSTEM
from corpus.models import Project
from tests.webhooks.certificates import Certificate, certificate_make
from tests.webhooks.mailserver import MailServer, mailing
from webhooks.advice import advice
from webhooks.models import FOR_PEOPLE, Attempt, Delivery, Webhook
from webhooks.services import channel_create, webhook_test, webhook_turn

pytestmark = pytest.mark.django_db

#: Every character that an address must write differently.
PASSWORD = "p@ss:w/rd%"
WRITTEN = "p%40ss%3Aw%2Frd%25"
Started = Callable[..., MailServer]


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Of localhost, which this process trusts."""
    made = certificate_make("localhost", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@pytest.fixture
def start(certificate: Certificate, settings: LazySettings) -> Iterator[Started]:
    """Start the operator's mail server, and tell nerapp of it."""
    with ExitStack() as stack:

        def started(
            scheme: str = "smtp+starttls", *, host: str = "localhost", written: str = WRITTEN, **how: Any
        ) -> MailServer:
            how = how or {"smtps" if scheme == "smtps" else "starttls": certificate.server(), "ner": PASSWORD}
            server = stack.enter_context(mailing(**how))
            login = f"ner:{written}@" if "ner" in how else ""
            settings.MAIL_SERVER = f"{scheme}://{login}{host}:{server.port}"
            settings.MAIL_FROM = "nerapp@example.org"
            return server

        yield started


@pytest.fixture
def tell(project: Project) -> Callable[..., Attempt]:
    """Try to mail Ada a test; returns how it went."""

    def told(name: str = "on call", url: str = "ada@example.org") -> Attempt:
        channel = channel_create(
            project=project,
            name=name,
            form="mail",
            url=url,
            language="en",
            kinds=FOR_PEOPLE,
            actor=SYSTEM,
        )
        delivery = webhook_test(webhook=channel, actor=SYSTEM)
        webhook_turn(webhook_id=channel.pk)
        return delivery.tries.get()

    return told


def next_step(attempt: Attempt) -> str:
    return advice(attempt, form=Webhook.Form.MAIL)


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_it_signs_in_and_sends_over_a_private_line(
    start: Started, tell: Callable[..., Attempt], scheme: str
) -> None:
    server = start(scheme)
    attempt = tell()
    assert (attempt.outcome, next_step(attempt)) == ("ok", "")
    assert server.tried == [(PASSWORD, True)]
    assert [recipients for recipients, _ in server.got] == [["ada@example.org"]]


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_a_wrong_password_is_refused_and_the_page_says_what_to_do(
    start: Started, tell: Callable[..., Attempt], scheme: str
) -> None:
    server = start(scheme, written="hunter2")
    attempt = tell()
    assert (attempt.outcome, attempt.http_status) == ("status", 535)
    assert "Authentication credentials invalid" in attempt.excerpt
    assert "hunter2" not in attempt.excerpt
    assert "does not take the user or the password. Correct both in EMAIL_URL" in next_step(attempt)
    assert server.got == []
    assert Delivery.objects.get().status == "waiting", "the password may be corrected meanwhile"


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(
    start: Started, tell: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    server = start(scheme)
    monkeypatch.delenv("SSL_CERT_FILE")
    attempt = tell()
    assert (attempt.outcome, attempt.excerpt) == ("tls", "self-signed certificate")
    assert "name its file in SSL_CERT_FILE" in next_step(attempt)
    assert (server.tried, server.got) == ([], [])


def test_a_certificate_for_another_host_is_refused(start: Started, tell: Callable[..., Attempt]) -> None:
    server = start(host="127.0.0.1")
    attempt = tell()
    assert attempt.outcome == "tls"
    assert "not valid for '127.0.0.1'" in attempt.excerpt
    assert "name the host as the server's certificate does" in next_step(attempt)
    assert (server.tried, server.got) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_a_server_without_tls_gets_nothing_where_tls_was_asked_for(
    start: Started, tell: Callable[..., Attempt], scheme: str
) -> None:
    server = start(scheme, starttls=None)
    attempt = tell()
    assert attempt.outcome == "garbled"
    assert "does not speak as EMAIL_URL says" in next_step(attempt)
    assert server.got == []


def test_a_mail_that_was_taken_is_not_sent_again_for_a_rude_goodbye(
    settings: LazySettings, tell: Callable[..., Attempt]
) -> None:
    class Rude(MailServer):
        async def handle_QUIT(self, *_: Any) -> str:
            return "421 out of here"

    with mailing(Rude()) as server:
        settings.MAIL_SERVER = f"smtp://127.0.0.1:{server.port}"
        assert tell().outcome == "ok"
        assert len(server.got) == 1


def test_a_domain_of_other_letters_is_written_as_servers_write_it(
    start: Started, tell: Callable[..., Attempt]
) -> None:
    server = start()
    assert tell(url="ada@bücher.example.org").outcome == "ok"
    assert [recipients for recipients, _ in server.got] == [["ada@xn--bcher-kva.example.org"]]


def test_a_name_cannot_begin_another_header(start: Started, tell: Callable[..., Attempt]) -> None:
    server = start()
    assert tell("on call\r\nBcc: eve@example.org\n\nFree money").outcome == "ok"
    ((recipients, mail),) = server.got
    assert recipients == ["ada@example.org"]
    assert mail["Bcc"] is None
    assert "on call Bcc: eve@example.org Free money" in mail["Subject"]


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        ("status", 451, ""),
        ("status", 550, "a recipient whom it does not know"),
        ("unreached", None, "Nobody answers at the host and port of EMAIL_URL"),
        ("started", None, ""),
    ],
)
def test_each_other_failure_of_a_mail_says_what_to_do(
    settings: LazySettings, outcome: str, status: int | None, words: str
) -> None:
    settings.MAIL_SERVER = "smtp://mail.example.org"
    said = next_step(Attempt(outcome=outcome, http_status=status))
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        ("status", 404, "Make a new incoming webhook there"),
        ("status", 400, "its own log"),
        ("status", 503, ""),
        ("status", 429, ""),
        ("redirect", 302, "see where it leads"),
        ("address", None, "WEBHOOK_NETWORKS"),
        ("unresolved", None, "spelled right"),
        ("tls", None, "SSL_CERT_FILE"),
        ("timeout", None, "within 5 seconds"),
        ("ok", 200, ""),
    ],
)
def test_each_failure_of_a_post_says_what_to_do(outcome: str, status: int | None, words: str) -> None:
    said = advice(Attempt(outcome=outcome, http_status=status), form=Webhook.Form.SLACK)
    assert words in said
    assert bool(words) == bool(said)
