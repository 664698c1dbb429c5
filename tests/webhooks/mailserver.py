"""A mail server as somebody else runs it: real SMTP, which keeps what it gets."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """What arrived; whom it refuses, and what it says to everybody ("" takes the mail)."""

    port: int = 0
    #: Who has to sign in, with which password.
    logins: dict[str, str] = field(default_factory=dict)
    #: With which passwords somebody tried to, and whether the line was private.
    tried: list[tuple[str, bool]] = field(default_factory=list)
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answer: str = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def sign_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        password = data.password.decode()
        line = server.transport
        self.tried.append((password, line is not None and line.get_extra_info("sslcontext") is not None))
        return AuthResult(success=self.logins.get(data.login.decode()) == password, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer:
            return self.answer
        message = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        self.got.append((envelope.rcpt_tos, message))  # type: ignore[arg-type]
        return "250 taken"

    @property
    def texts(self) -> list[str]:
        """The bodies of what arrived."""
        return [message.get_content() for _, message in self.got]


class AnyPort(Controller):
    """Listens on a port that the system chooses."""

    def _trigger_server(self) -> None:
        # It asks its own port whether it is up, and would ask port 0.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextlib.contextmanager
def mailing(
    made: MailServer | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    smtps: ssl.SSLContext | None = None,
    **logins: str,
) -> Iterator[MailServer]:
    """A server on this machine; one with logins takes no mail of whom it does not know."""
    made = made or MailServer()
    made.logins = logins
    asked = {"authenticator": made.sign_in, "auth_required": True} if logins else {}
    controller = AnyPort(
        made,
        hostname="127.0.0.1",
        port=0,
        ssl_context=smtps,
        tls_context=starttls,
        # It means STARTTLS: TLS from the first byte is none, and a test may sign in without.
        auth_require_tls=starttls is not None,
        **asked,
    )
    controller.start()
    made.port = controller.port
    try:
        yield made
    finally:
        controller.stop()
