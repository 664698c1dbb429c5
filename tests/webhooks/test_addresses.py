"""Where webhooks may lead, and that they lead nowhere else whatever a name or a receiver says."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from tests.webhooks.certificates import certificate_make
from tests.webhooks.receiver import Receiver, dripping, receiving, replying
from webhooks import wire
from webhooks.addresses import addresses_of, is_open, target_of
from webhooks.errors import AddressRefused, HostUnknown
from webhooks.models import Attempt

Outcome = Attempt.Outcome
PUBLIC = "93.184.215.14"


def resolver(*answers: str | list[str]) -> Callable[..., list[Any]]:
    """A name server that gives one answer after another, and the last one for ever."""
    left = [answer if isinstance(answer, list) else [answer] for answer in answers]

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in addresses
        ]

    return getaddrinfo


def post(url: str) -> wire.Answer:
    return wire.post(url, body=b"{}", headers={"content-type": "application/json"})


# --- Words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.org/", "only https"),
        ("ftp://example.org/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://example.org/", "https://"),
        ("example.org/hook", "https://"),
        ("", "https://"),
        ("https://", "no host"),
        ("https:///hook", "no host"),
        ("https://user@example.org/", "name or a password"),
        ("https://user:word@example.org/", "name or a password"),
        ("https://example.org@10.0.0.1/", "name or a password"),
        ("https://example.org:22/", "port 22"),
        ("https://example.org:6379/", "port 6379"),
        ("https://example.org:99999/", "cannot be understood"),
        ("https://example.org/#part", "after #"),
        ("https://example.org/a b", "characters"),
        ("https://example.org/\r\nX-Injected: 1", "characters"),
        ("https://example.org\\@10.0.0.1/", "characters"),
        ("https://exämple.org/", "characters"),
        ("https://[::1/", "cannot be understood"),
        ("https://example.org/" + "a" * 500, "longer than"),
    ],
)
def test_an_address_that_nothing_is_sent_to_says_why(url: str, problem: str) -> None:
    with pytest.raises(AddressRefused, match=problem) as refused:
        target_of(url)
    assert (refused.value.code, refused.value.pointer) == ("url_not_allowed", "/url")


def test_an_ordinary_address_is_taken_apart() -> None:
    target = target_of("https://hooks.example.org:8443/a/b?c=d")
    assert (target.tls, target.host, target.port, target.path) == (
        True,
        "hooks.example.org",
        8443,
        "/a/b?c=d",
    )
    assert target_of("https://example.org").path == "/"


# --- Network addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.2.1", "198.18.0.1"),
        *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1"),
    ],
)
def test_what_is_not_the_public_internet_is_closed(address: str) -> None:
    assert not is_open(ip_address(address))


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_the_public_internet_is_open(address: str) -> None:
    assert is_open(ip_address(address))


def test_the_operator_may_open_a_network(settings: LazySettings) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("10.20.0.0/16")]
    assert is_open(ip_address("10.20.3.4"))
    assert not is_open(ip_address("10.21.0.1"))
    assert not is_open(ip_address("::ffff:10.21.0.1"))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "127.1", "0177.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]
)
def test_however_this_machine_is_written_it_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        addresses_of(target_of(f"https://{host}/"))


def test_one_closed_address_among_open_ones_closes_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver([PUBLIC, "10.0.0.1"]))
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        addresses_of(target_of("https://example.org/"))


def test_a_host_without_an_address_is_told_apart() -> None:
    with pytest.raises(HostUnknown):
        addresses_of(target_of("https://nobody.invalid/"))
    assert post("https://nobody.invalid/").outcome == Outcome.UNRESOLVED


# --- The wire ----------------------------------------------------------------------------------------


def test_this_machine_gets_no_connection(receiver: Receiver, settings: LazySettings) -> None:
    settings.WEBHOOK_ALLOW_HTTP, settings.WEBHOOK_PORTS = True, frozenset({receiver.port})
    assert post(receiver.url).outcome == Outcome.ADDRESS
    assert post(f"http://localhost:{receiver.port}/").outcome == Outcome.ADDRESS
    assert receiver.got == []


def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere(
    receiver: Receiver, may_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: checked is 127.0.0.2, which is open here; asked again, the name says 127.0.0.1."""
    with receiving("127.0.0.2", port=receiver.port) as checked:
        may_reach(receiver.port, networks=("127.0.0.2/32",))
        monkeypatch.setattr(socket, "getaddrinfo", resolver("127.0.0.2", "127.0.0.1"))
        assert post(f"http://rebind.example:{receiver.port}/hook").outcome == Outcome.OK
        assert [got.headers["host"] for got in checked.got] == [f"rebind.example:{receiver.port}"]
        assert receiver.got == []
        # And by the next try the name is looked at anew.
        assert post(f"http://rebind.example:{receiver.port}/hook").outcome == Outcome.ADDRESS
        assert receiver.got == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, receiver: Receiver, may_reach: Callable[..., None]) -> None:
    with receiving() as inner:
        may_reach(receiver.port, inner.port)
        receiver.answer = replying(status, Location=inner.url)
        answer = post(receiver.url)
        assert (answer.outcome, answer.http_status) == (Outcome.REDIRECT, status)
        assert inner.got == []


def test_no_more_than_the_beginning_of_an_answer_is_kept(
    receiver: Receiver, may_reach: Callable[..., None]
) -> None:
    may_reach(receiver.port)
    receiver.answer = replying(500, b"no\x00\x1b[31m thanks\n" + b"x" * 1_000_000)
    answer = post(receiver.url)
    assert (answer.outcome, answer.http_status) == (Outcome.STATUS, 500)
    assert answer.excerpt.startswith("no [31m thanks x")
    assert len(answer.excerpt) == wire.EXCERPT
    receiver.answer = replying(200, b"secret words of the receiver")
    assert post(receiver.url).excerpt == ""


def test_an_answer_that_drips_for_ever_is_cut(
    receiver: Receiver, may_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "SECONDS", 0.5)
    may_reach(receiver.port)
    receiver.answer = dripping
    began = time.monotonic()
    assert post(receiver.url).outcome == Outcome.TIMEOUT
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("head", [b"", b"Connection: close\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_drips_for_ever_is_cut(
    head: bytes, receiver: Receiver, may_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "SECONDS", 0.5)
    may_reach(receiver.port)
    receiver.answer = lambda handler: dripping(handler, b"HTTP/1.1 500 No\r\n" + head + b"\r\n")
    began = time.monotonic()
    answer = post(receiver.url)
    assert (answer.outcome, answer.http_status) == (Outcome.STATUS, 500)
    assert time.monotonic() - began < 3


def test_silence_is_a_timeout(may_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        may_reach(port)
        assert post(f"http://127.0.0.1:{port}/").outcome == Outcome.TIMEOUT
        assert post(f"https://127.0.0.1:{port}/").outcome == Outcome.TIMEOUT
    assert post(f"http://127.0.0.1:{port}/").outcome == Outcome.UNREACHED


def test_what_is_no_http_is_told_apart(receiver: Receiver, may_reach: Callable[..., None]) -> None:
    may_reach(receiver.port)
    receiver.answer = lambda handler: (handler.wfile.write(b"SSH-2.0-x\r\n"), None)[1]
    receiver_closes = receiver.answer

    def answer(handler: Any) -> None:
        receiver_closes(handler)
        handler.close_connection = True

    receiver.answer = answer
    assert post(receiver.url).outcome == Outcome.GARBLED


# --- TLS ---------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for hooks.example, which this process trusts."""
    certificate = certificate_make("hooks.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    return certificate.server()


def test_tls_is_with_the_name_though_the_connection_is_by_number(
    trusted: ssl.SSLContext, may_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    trusted.sni_callback = lambda _socket, name, _context: asked.append(name)
    monkeypatch.setattr(socket, "getaddrinfo", resolver("127.0.0.1"))
    with receiving(tls=trusted) as receiver:
        may_reach(receiver.port)
        assert post(f"https://hooks.example:{receiver.port}/hook").outcome == Outcome.OK
        assert asked == ["hooks.example"]
        other = post(f"https://other.example:{receiver.port}/hook")
        assert other.outcome == Outcome.TLS
        assert "Hostname mismatch" in other.excerpt
        assert len(receiver.got) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(
    trusted: ssl.SSLContext, may_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setattr(socket, "getaddrinfo", resolver("127.0.0.1"))
    with receiving(tls=trusted) as receiver:
        may_reach(receiver.port)
        assert post(f"https://hooks.example:{receiver.port}/hook").outcome == Outcome.TLS
        assert receiver.got == []
