"""The one family of errors that services raise, and how each kind reads to a caller.

A subclass is one mistake: its `code` is stable, its docstring is the message (fields in braces are
filled from the keyword arguments), its `status` is the HTTP status that the API answers with.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext


class DomainError(Exception):
    """Something was refused."""

    code = "refused"
    status = 400

    def __init__(self, *, pointer: str = "", **params: Any) -> None:
        self.pointer = pointer
        self.params = params
        self.detail = self.template().format(**params)
        super().__init__(self.detail)

    @classmethod
    def template(cls) -> str:
        """The message before its fields are filled in."""
        return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())

    @property
    def words(self) -> str:
        """The message in the language of the page, for people; `detail` is English, for programs and logs."""
        return gettext(self.template()).format(**self.params)


class Invalid(DomainError):
    """What was sent is not valid."""

    code = "invalid"


class Refused(DomainError):
    """You may not do this."""

    code = "forbidden"
    status = 403


class NotFound(DomainError):
    """There is nothing here, or nothing that you may see."""

    code = "not_found"
    status = 404


class Conflict(DomainError):
    """The state of things has changed; look again before you repeat this."""

    code = "conflict"
    status = 409


class DocumentErased(Conflict):
    """This document was erased; its text is gone and nothing can be stored for it."""

    code = "document_erased"
    status = 410


class LabelRetired(Conflict):
    """The label set changed meanwhile: {label} is no longer in use in this project."""

    code = "label_retired"


class LastManager(Conflict):
    """{person} is the last who manages this project; make somebody else an admin first."""

    code = "last_manager"


class AccountUnknown(Invalid):
    """There is no account “{name}”. Accounts are made in the back office; ask whoever runs this installation
    for one, then add the person here.
    """

    code = "unknown_account"


class AccountAmbiguous(Invalid):
    """Several accounts have the address {name}; give the user name."""

    code = "ambiguous_account"


class AccountOff(Invalid):
    """The account “{name}” is switched off; whoever runs this installation can switch it on again."""

    code = "inactive_account"


class MemberAlready(Conflict):
    """{person} is in this project already, as {role}; the role is changed in the list of members."""

    code = "member_already"


class HotkeyReserved(Invalid):
    """The key {hotkey} has a meaning of its own in the workbench; choose another for {label}."""

    code = "hotkey_reserved"


class TextTooLong(Invalid):
    """A text may have {limit} characters at most; this one has {length}."""

    code = "text_too_long"
    status = 413


class EmptyText(Invalid):
    """The text is empty."""

    code = "empty_text"


class NullCharacter(Invalid):
    """Position {position} of the text holds U+0000, which cannot be stored."""

    code = "null_character"


class InvalidUnicode(Invalid):
    """Position {position} of the text holds half of a surrogate pair."""

    code = "invalid_unicode"


class FieldRequired(Invalid):
    """{field} is required."""

    code = "required"


class IdempotencyKeyInvalid(Invalid):
    """An idempotency key is 1 to 255 printable ASCII characters."""

    code = "invalid_idempotency_key"


class KeyReused(Conflict):
    """This idempotency key was used before with other content."""

    code = "key_reused"
    status = 422
