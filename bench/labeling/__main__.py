"""`python -m bench.labeling`: the workbench, the queue, import and export, one after the other.

Each part is a module of its own and can be run alone (`python -m bench.labeling.queue`). `SCALE=1000000`
imports and exports a million documents instead of a hundred thousand.
"""

from __future__ import annotations

import json
import os

from bench.keep import keep
from bench.labeling import editor, queue, transfer

SCALE = int(os.environ.get("SCALE", "100000"))
PARTS = {
    "editor": editor.measure,
    "queue": queue.measure,
    "transfer": lambda: transfer.measure(SCALE),
}


def main() -> None:
    """Measure every part, print what was found and a last line of JSON, and keep the result."""
    figures: dict[str, float] = {}
    for name, measure in PARTS.items():
        print(f"{name} ...", flush=True)
        found = measure()
        figures |= found
        for figure, value in found.items():
            print(f"  {figure:24} {value:12.2f}", flush=True)
    print(f"kept in {keep('labeling', {'figures': figures}).name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
