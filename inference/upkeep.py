"""What a web process does beside answering: follow promotions and exams, note keys in use and what failed.

One thread per process, off the request path. A process made by fork starts its own.
"""

from __future__ import annotations

import gc
import os
import threading
import time

import structlog
from django.conf import settings
from django.db import close_old_connections, connection

from inference.authentication import key_ring
from inference.engine import engine
from inference.failures import failures
from inference.handovers import handovers

log = structlog.get_logger(__name__)

_KEYS_EVERY_SECONDS = 60.0
_EXAMS_EVERY_SECONDS = 10.0
#: So long a start waits for the first look: without a database the process comes up and says so in `ready`.
_FIRST_LOOK_SECONDS = 30.0


class Upkeep:
    """The thread and when it last did what."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._looked = threading.Event()
        self._keys_at = self._exams_at = 0.0

    def start(self) -> None:
        """Load what is deployed and keep following it, in this process and in what it forks.

        Returns when it is loaded: who takes requests from then on need not let any wait.
        """
        if self._thread is not None:
            return
        os.register_at_fork(after_in_child=self._run)
        self._run()
        self._looked.wait(_FIRST_LOOK_SECONDS)

    def _run(self) -> None:
        engine.follows = True
        self._thread = threading.Thread(target=self._forever, name="upkeep", daemon=True)
        self._thread.start()

    def _forever(self) -> None:
        self.turn()
        # What was loaded by now stays as long as the process: looking through all of it for garbage again and
        # again would stop every request of the process for a tenth of a second.
        gc.collect()
        gc.freeze()
        self._looked.set()
        while True:
            time.sleep(settings.DEPLOYMENT_POLL_SECONDS)
            self.turn()

    def turn(self) -> None:
        """Look once. Whatever fails is tried again at the next turn."""
        close_old_connections()
        try:
            engine.refresh()
            failures.flush()
            if time.monotonic() - self._keys_at >= _KEYS_EVERY_SECONDS:
                self._keys_at = time.monotonic()
                key_ring.used_flush()
            if time.monotonic() - self._exams_at >= _EXAMS_EVERY_SECONDS:
                self._exams_at = time.monotonic()
                handovers.refresh()
        except Exception as error:  # noqa: BLE001  (a thread that dies would leave this process behind for good)
            log.warning("upkeep failed", error=type(error).__name__)
            connection.close()


upkeep = Upkeep()
