"""How many words a second spaCy's `nlp.pipe` recognises on one core: entities alone, and all it does.

Its small English model of PyPI wants an old spaCy (see bench/README.md), so this file runs by itself under
another Python, reads texts as lines and writes JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

MODEL = "en_core_web_sm"


def measure(python: str, texts: Sequence[str], *, seconds: float) -> dict[str, object]:
    """Words a second, or why there are none."""
    if not os.access(python, os.X_OK):
        return {"left_out": f"there is no Python with spaCy and {MODEL} at {python}: see bench/README.md"}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [python, __file__, str(seconds)],
        input="\n".join(texts),
        env={**os.environ, **one},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"left_out": f"spaCy did not run: {done.stderr.strip().splitlines()[-1:]}"}
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _answer() -> dict[str, object]:
    import spacy

    texts = sys.stdin.read().split("\n")
    nlp = importlib.import_module(MODEL).load()
    found = {"spacy": spacy.__version__, "model": f"{MODEL} {nlp.meta['version']}"}
    others = [name for name in nlp.pipe_names if name != "ner"]
    found["all_words_per_s"] = _words_per_second(nlp, texts)
    with nlp.disable_pipes(*others):
        found["ner_words_per_s"] = _words_per_second(nlp, texts)
    return found


def _words_per_second(nlp: object, texts: Sequence[str]) -> float:
    """Words between spaces by processor time, so that what else runs counts little."""
    words, deadline = 0, time.perf_counter() + float(sys.argv[1])
    list(nlp.pipe(texts[:100]))
    started = time.process_time()
    while time.perf_counter() < deadline:
        for document in nlp.pipe(texts, batch_size=100):
            words += len(document.text.split())
    return round(words / (time.process_time() - started), 1)


if __name__ == "__main__":
    print(json.dumps(_answer()))
