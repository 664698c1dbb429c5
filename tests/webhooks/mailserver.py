"""A mail server as somebody else runs it: real SMTP, which keeps what it gets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """What arrived; whom it refuses, and what it says to everybody ("" takes the mail)."""

    port: int = 0
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
def mailing() -> Iterator[MailServer]:
    """A server on this machine."""
    made = MailServer()
    controller = AnyPort(made, hostname="127.0.0.1", port=0)
    controller.start()
    made.port = controller.port
    try:
        yield made
    finally:
        controller.stop()
