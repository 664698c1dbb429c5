"""Reading the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import models
from django.db.models import QuerySet

from audit.models import AuditEvent
from audit.services import GENESIS, event_hash, subject_of


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where the chain does not hold."""

    chain: str
    number: int
    message: str


def chain_names() -> list[str]:
    """Every chain that has at least one event."""
    return list(AuditEvent.objects.order_by("chain").values_list("chain", flat=True).distinct())


def chain_faults(*, chain: str, expect: tuple[int, str] | None = None) -> Iterator[Fault]:
    """Walk one chain from its first event and report every change, gap or forged link.

    A removed tail, or a chain rewritten from some event on, cannot be seen from the rows alone: `expect`
    is the number and hash of an event kept elsewhere (`audit_verify` prints the last one for that).
    """
    previous, expected = GENESIS, 1
    events = AuditEvent.objects.filter(chain=chain).order_by("number")
    for event in events.iterator(chunk_size=1000):
        if event.number != expected:
            yield Fault(chain, expected, f"event {expected} is missing")
        if event.previous_hash != previous:
            yield Fault(chain, event.number, "does not follow the event before it")
        if event.hash != event_hash(event):
            yield Fault(chain, event.number, "its content was changed after it was written")
        if expect and event.number == expect[0] and event.hash != expect[1]:
            yield Fault(chain, event.number, "is not the event that was kept elsewhere")
        previous, expected = event.hash, event.number + 1
    if expect and expect[0] >= expected:
        yield Fault(chain, expect[0], f"the events after {expected - 1} are missing")


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last event of a chain. Kept elsewhere, it shows later whether a tail was cut off."""

    chain: str
    number: int
    hash: str


def chain_head(*, chain: str) -> ChainHead | None:
    """The number and hash of a chain's last event; None for a chain without events."""
    last = AuditEvent.objects.filter(chain=chain).order_by("-number").first()
    return ChainHead(chain=chain, number=last.number, hash=last.hash) if last else None


def events_of(instance: models.Model) -> QuerySet[AuditEvent]:
    """What was done to a row, newest first."""
    return AuditEvent.objects.filter(subject=subject_of(instance)).order_by("-id")
