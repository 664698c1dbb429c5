"""`python -m bench.labeling.transfer`: labelled documents a second, in and out, and in how much memory.

The file is short JSON Lines with two gold spans each, imported and exported by the commands, from the first
byte read to the last row committed or byte written. `SCALE` is the number of documents (default 100,000).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.serving.site import Site, running
from nerapp import env

_PROJECT = """
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
labels = [LabelDraft(name="per"), LabelDraft(name="geo")]
project_create(slug="bench", name="Bench", labels=labels, actor=SYSTEM)
"""
_IMPORT = """
import json, resource, sys, time
from pathlib import Path
from corpus.models import Document, Project
from feedback.models import Correction
from labeling.options import ImportOptions
from labeling.services import file_import
started = time.perf_counter()
job, _ = file_import(project=Project.objects.get(), path=Path(sys.argv[1]), options=ImportOptions())
seconds = time.perf_counter() - started
assert job.status == "done", job.error
assert Document.objects.count() == Correction.objects.count() == job.counts["read"], job.counts
print(json.dumps({"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
_EXPORT = """
import json, resource, time
from corpus.models import Project
from labeling.services import export_run, export_start
started = time.perf_counter()
job = export_start(project=Project.objects.get(), options={"format": "jsonl"}, publish=False)
export_run(job_id=job.pk)
job.refresh_from_db()
seconds = time.perf_counter() - started
assert job.status == "done", job.error
print(json.dumps({"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "records": job.manifest["records"]}))
"""


def measure(scale: int = 100_000) -> dict[str, float]:
    """Import and export `scale` documents in a nerapp of its own."""
    with running() as site:
        site.python(_PROJECT)
        path = site.home / "gold.jsonl"
        _file_write(path, scale)
        taken_in = _said(site, _IMPORT, str(path))
        taken_out = _said(site, _EXPORT)
        if taken_out["records"] != scale:
            raise RuntimeError(f"{scale} documents went in and {taken_out['records']} came out")
        return {
            "import_docs_per_s": round(scale / taken_in["seconds"]),
            "import_peak_mb": round(taken_in["mb"]),
            "export_docs_per_s": round(scale / taken_out["seconds"]),
            "export_peak_mb": round(taken_out["mb"]),
        }


def _file_write(path: Path, scale: int) -> None:
    with path.open("w") as file:
        for number in range(scale):
            text = f"Ada wrote letter {number} to Ann in London about the orchard and its apples."
            place = text.index("London")
            spans = [[0, 3, "per"], [place, place + 6, "geo"]]
            file.write(json.dumps({"id": f"d{number}", "text": text, "spans": spans}) + "\n")


def _said(site: Site, code: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}", *arguments],
        cwd=env.PROJECT,
        env=site.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    print(json.dumps(measure(int(os.environ.get("SCALE", "100000")))))
