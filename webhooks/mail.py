"""One e-mail by the operator's mail server (EMAIL_URL), each step of it bounded in time."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from webhooks.errors import MailAddressRefused, MailNotSet
from webhooks.models import Attempt
from webhooks.wire import EXCERPT, SECONDS, Answer

Outcome = Attempt.Outcome
SCHEME: Final = "mailto:"
PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


def recipients_of(url: str) -> list[str]:
    """The mail addresses of a channel."""
    return url.removeprefix(SCHEME).split(",")


def url_of(words: str) -> str:
    """What somebody typed, checked. Raises MailNotSet where nobody can be mailed, and MailAddressRefused."""
    if not settings.MAIL_SERVER:
        raise MailNotSet()
    addresses = []
    for address in words.replace(",", " ").replace(";", " ").split() or [words]:
        try:
            validate_email(address)
            name, _, domain = address.rpartition("@")
            # As servers write a domain with letters of other languages.
            addresses.append(f"{name}@{domain.encode('idna').decode()}")
        except (ValidationError, UnicodeError):
            raise MailAddressRefused(pointer="/url", address=address.strip() or "–") from None
    return SCHEME + ",".join(dict.fromkeys(addresses))


def send(recipients: Sequence[str], *, message_id: str, subject: str, text: str) -> Answer:
    """Hand a mail to the server and say what became of it; nothing that a server does raises.

    A server that takes it for some of the recipients has accepted it: to repeat it would mail those twice.
    """
    if not settings.MAIL_SERVER:
        return Answer(Outcome.UNREACHED, excerpt="EMAIL_URL is not set")
    server = urlsplit(settings.MAIL_SERVER)
    host, port = server.hostname or "", server.port or PORTS[server.scheme]
    message = _message(recipients, message_id=message_id, subject=subject, text=text)
    try:
        with _connected(server.scheme, host, port) as line:
            if server.username:
                line.login(unquote(server.username), unquote(server.password or ""))
            refused = line.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        return Answer(Outcome.STATUS, code, _shown(words))
    except smtplib.SMTPResponseException as error:
        return Answer(Outcome.STATUS, error.smtp_code, _shown(error.smtp_error))
    except smtplib.SMTPServerDisconnected as error:
        return Answer(Outcome.GARBLED, excerpt=_shown(str(error)))
    except smtplib.SMTPException as error:
        return Answer(Outcome.GARBLED, excerpt=_shown(str(error)))
    except ssl.SSLCertVerificationError as error:
        return Answer(Outcome.TLS, excerpt=_shown(error.verify_message))
    except ssl.SSLError as error:  # of a server that speaks no TLS there
        return Answer(Outcome.GARBLED, excerpt=_shown(str(error.reason or error)))
    except TimeoutError:
        return Answer(Outcome.TIMEOUT)
    except OSError as error:
        return Answer(Outcome.UNREACHED, excerpt=_shown(str(error.strerror or error)))
    if refused:
        return Answer(Outcome.OK, 250, f"{len(refused)}/{len(recipients)} refused")
    return Answer(Outcome.OK, 250)


@contextlib.contextmanager
def _connected(scheme: str, host: str, port: int) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    if scheme == "smtps":
        line: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
    else:
        line = smtplib.SMTP(host, port, timeout=SECONDS)
    try:
        if scheme == "smtp+starttls":
            line.starttls(context=context)
        yield line
    finally:
        # By now the mail is taken or not: however the server says goodbye, it is not sent again for that.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            line.quit()
        line.close()


def _message(recipients: Sequence[str], *, message_id: str, subject: str, text: str) -> EmailMessage:
    sender = Address(addr_spec=settings.MAIL_FROM)
    message = EmailMessage()
    # One line: the names in it are people's, and a break in one must neither end the header nor the sending.
    message["Subject"] = " ".join(subject.split())
    message["From"], message["To"] = sender, ", ".join(recipients)
    message["Date"] = format_datetime(timezone.now())
    # The same for every try: a mail program that gets it twice can tell.
    message["Message-ID"] = f"<{message_id}@{sender.domain or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _shown(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT]
