"""`manage.py audit_verify`: walk the audit chains and name every row that does not hold.

Exit status 0 when all holds, 1 when something was changed, removed or forged, 2 for an unknown chain.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.selectors import chain_faults, chain_head, chain_names


class Command(BaseCommand):
    help = "Check that nobody changed the audit log; print the last number and hash of each chain."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--chain", help="only this one: a project's slug, or system")
        parser.add_argument(
            "--expect",
            metavar="NUMBER:HASH",
            help="a line kept from an earlier run: the chain must still hold this event",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chains = [options["chain"]] if options["chain"] else chain_names()
        faults = 0
        for chain in chains:
            head = chain_head(chain=chain)
            if head is None:
                raise CommandError(f"There is no chain {chain!r}.", returncode=2)
            for fault in chain_faults(chain=chain, expect=_expected(options["expect"])):
                faults += 1
                self.stdout.write(f"BROKEN {fault.chain} #{fault.number}: {fault.message}")
            self.stdout.write(f"{head.chain} {head.number}:{head.hash}")
        if faults:
            raise CommandError(f"{faults} event(s) of the audit log do not hold.", returncode=1)


def _expected(line: str | None) -> tuple[int, str] | None:
    if line is None:
        return None
    number, separator, digest = line.partition(":")
    if not (separator and number.isdigit() and len(digest) == 64):
        raise CommandError("--expect takes NUMBER:HASH as an earlier run printed it.", returncode=2)
    return int(number), digest
