"""What a person does next about a try that failed: a sentence for the pages of channels and webhooks."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from webhooks.models import Attempt, Webhook

Outcome = Attempt.Outcome

#: SMTP (RFC 4954): no user, a wrong one, or a way to sign in that the server does not take.
_NO_LOGIN = {530, 534, 535, 538, 454}


def advice(attempt: Attempt, *, form: str) -> str:
    """The sentence; empty where nothing failed, or nothing is to be done but to wait."""
    if attempt.outcome in (Outcome.OK, Outcome.STARTED):
        return ""
    return _about_mail(attempt) if form == Webhook.Form.MAIL else _about_posts(attempt, form=form)


def _about_mail(attempt: Attempt) -> str:
    if not settings.MAIL_SERVER:
        return _("Set EMAIL_URL to your mail server and start nerapp again.")
    match attempt.outcome:
        case Outcome.TLS:
            return _(
                "The connection is not trusted, so neither a password nor a mail was sent. Let EMAIL_URL "
                "name the host as the server's certificate does. If an authority of your own has signed it, "
                "name its file in SSL_CERT_FILE. Then start nerapp again."
            )
        case Outcome.GARBLED:
            return _(
                "The server does not speak as EMAIL_URL says: smtps:// is TLS from the first byte (port "
                "465), smtp+starttls:// turns to TLS (port 587), smtp:// is without it and without a "
                "password (port 25). Correct EMAIL_URL and start nerapp again."
            )
        case Outcome.STATUS if attempt.http_status in _NO_LOGIN:
            return _(
                "The server does not take the user or the password. Correct both in EMAIL_URL, with @ "
                "written as %40, : as %3A and / as %2F, and start nerapp again."
            )
        case Outcome.STATUS if (attempt.http_status or 0) >= 500:
            return _(
                "The server does not take this mail. Its words tell why: mostly a recipient whom it does not "
                "know, or a sender (EMAIL_FROM) that it does not send for."
            )
        case Outcome.STATUS:
            return ""
    return _(
        "Nobody answers at the host and port of EMAIL_URL. Are both right, and may this machine connect "
        "to them?"
    )


def _about_posts(attempt: Attempt, *, form: str) -> str:
    match attempt.outcome:
        case Outcome.STATUS if form == Webhook.Form.SLACK and attempt.http_status in (401, 403, 404, 410):
            return _(
                "The chat does not know this address any more. Make a new incoming webhook there, and put "
                "its address in the place of this one."
            )
        case Outcome.STATUS if attempt.http_status == 429 or (attempt.http_status or 0) >= 500:
            return ""
        case Outcome.STATUS:
            return _("The receiver does not take this message. Its words, and its own log, tell why.")
        case Outcome.REDIRECT:
            return _("Open the address, see where it leads, and enter that one.")
        case Outcome.ADDRESS:
            return _(
                "Enter another address. If this network is yours and may be sent to, the operator names it "
                "in WEBHOOK_NETWORKS."
            )
        case Outcome.TLS:
            return _(
                "The connection is not trusted, so nothing was sent. The certificate must be valid, and name "
                "the host. If an authority of your own has signed it, the operator names its file in "
                "SSL_CERT_FILE."
            )
        case Outcome.UNRESOLVED:
            return _("Is the host spelled right? This machine finds no address for it.")
    return _("Is the receiver running, and may this machine connect to it? It must answer within 5 seconds.")
