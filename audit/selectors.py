"""Reading the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.models import AuditEvent
from audit.services import GENESIS, event_hash


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where the chain does not hold."""

    chain: str
    number: int
    message: str


def chain_names() -> list[str]:
    """Every chain that has at least one event."""
    return list(AuditEvent.objects.order_by("chain").values_list("chain", flat=True).distinct())


def chain_faults(*, chain: str) -> Iterator[Fault]:
    """Walk one chain from its first event and report every change, gap or forged link.

    A removed tail cannot be seen from the rows alone: compare the last number and hash with a copy kept
    elsewhere (`audit_verify` prints them for that).
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
        previous, expected = event.hash, event.number + 1
