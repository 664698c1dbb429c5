"""How fast each format is written and read, and in how much memory: `python -m bench.formats`.

Short texts with two entities each; processor seconds of one core; every format in a process of its own, so
that its peak of memory is its own. `SCALE=1000000` sets the number of texts.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ner.formats import FORMATS, Record, read_records, write_records
from ner.formats.brat import MAX_TEXTS
from ner.spans import Span

TEXT = "Ann Lee met Bob M\u00fcller number {} in Oslo on Monday."


def texts(count: int) -> Iterator[Record]:
    for number in range(count):
        text = TEXT.format(number)
        place = text.index("Oslo")
        yield Record(text, (Span(0, 7, "per"), Span(place, place + 4, "geo")), str(number))


def measure_one(format: str, count: int) -> dict[str, float]:
    """Texts a second and the peak of memory in MB of one format, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        started = time.process_time()
        with path.open("wb") as stream:
            write_records(texts(count), stream, format)
        writing = time.process_time() - started
        started = time.process_time()
        found = sum(1 for _ in read_records(path, format))
        reading = time.process_time() - started
    if found != count:
        raise SystemExit(f"{format}: {found} of {count} came back")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "write_per_s": round(count / writing),
        "read_per_s": round(count / reading),
        "peak_mb": round(peak),
    }


def measure(count: int) -> dict[str, float]:
    """The figures of all formats, `<format>_<figure>`."""
    figures: dict[str, float] = {}
    for format in FORMATS:
        count_here = min(count, MAX_TEXTS) if format == "brat" else count
        result = subprocess.run(
            [sys.executable, "-m", "bench.formats", format, str(count_here)],
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(result.stdout)
        print(
            f"{format:18}" + "".join(f"{value:>12,}" for value in found.values()), file=sys.stderr, flush=True
        )
        figures |= {f"{format}_{name}": value for name, value in found.items()}
    return figures


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure_one(sys.argv[1], int(sys.argv[2]))))
    else:
        print(json.dumps(measure(int(os.environ.get("SCALE", "100000")))))
