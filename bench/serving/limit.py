"""Is a rate limit exact when many ask at once? Each trial has a key of its own."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

from bench.serving.load import at_once
from bench.serving.server import Server

CALLERS = 64
#: One comes back every two minutes: none within a trial.
ALLOWED = 30

#: Prints as many keys as are asked for, with so many texts an hour, of such names.
KEYS = """
import sys
from audit.services import SYSTEM
from corpus.models import Project
from inference.services import api_key_create
for number in range(int(sys.argv[1])):
    print(api_key_create(
        project=Project.objects.get(), name=f"{sys.argv[3]} {number}", scopes=["predict"], actor=SYSTEM,
        rate_per_hour=int(sys.argv[2]),
    )[1])
"""


def measure(server: Server, *, trials: int) -> dict[str, object]:
    """How often exactly as many of 64 that ask at one moment were let pass as the limit says."""
    keys = server.site.python(KEYS, str(trials), str(ALLOWED), "trial").split()[-trials:]
    expected = Counter({"200": ALLOWED, "429": CALLERS - ALLOWED})
    exact, wrong = 0, []
    for key in keys:
        requests = itertools.islice(replace(server, key=key).predicts(), CALLERS)
        found = at_once(server.port, list(requests))
        exact += found == expected
        if found != expected:
            wrong.append(dict(found))
    return {"trials": trials, "at_once": CALLERS, "allowed": ALLOWED, "exact": exact, "wrong": wrong}
