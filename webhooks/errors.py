"""Why something about a webhook was refused."""

from __future__ import annotations

from corpus.errors import Conflict, DomainError


class AddressRefused(DomainError):
    """Nothing can be sent to this address: {problem}."""

    code = "url_not_allowed"


class HostUnknown(AddressRefused):
    """Nothing can be sent to this address: {problem}."""

    code = "host_unknown"


class KindUnknown(DomainError):
    """There is no event {kind}."""

    code = "unknown_event"


class NothingChosen(DomainError):
    """Choose at least one event."""

    code = "no_event_chosen"


class StillWaiting(Conflict):
    """This delivery is still being tried; it can be sent again once it has ended."""

    code = "delivery_waiting"


class MailNotSet(DomainError):
    """Nobody can be mailed: no mail server is set (EMAIL_URL)."""

    code = "mail_not_set"


class MailAddressRefused(DomainError):
    """{address} is not a mail address."""

    code = "mail_address_invalid"


class TooLong(DomainError):
    """A planned change lasts {days} days at most, and ends after it begins."""

    code = "planned_change_too_long"
