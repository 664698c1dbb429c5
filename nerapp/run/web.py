"""`python -m nerapp.run.web`: the web server, granian, with all its processes on one socket of ours.

docs/adr/0005-web-server.md says why this server and why this socket.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels, logger
from granian.server.mp import MPServer, WorkerProcess

from nerapp import env
from nerapp.run.process import die_with
from nerapp.run.supervisor import StartFailed

#: So long may answers take that are under way when the server is told to end.
_GRACE_SECONDS = 20
#: So long a web process that takes no more connections waits for the requests on those it took.
_LEAVE_SECONDS = 1.0
#: How often it is looked whether all web processes live, and how old one is that may be replaced at once.
_LOOK_SECONDS, _YOUNG_SECONDS = 1.0, 5.0
#: A thread keeps its connection to the database: the longest that granian lets one idle.
_IDLE_SECONDS = 600


class _Server(MPServer):
    """Granian on a socket that is open already.

    By itself it opens one per process and the kernel deals connections out to them: some processes would
    have more to do than others, and what waits for one that dies would be lost. Of one socket each takes what
    it can, and what nobody has taken waits, also while all of them start anew.
    """

    def __init__(self, listening: socket.socket, application: str, **options: Any) -> None:
        super().__init__(application, **options)
        self._listening = listening

    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(self._listening.fileno(), False, self.backlog)  # type: ignore[assignment,call-arg]
        self._sso = self._listening

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:  # type: ignore[override]
        hears, tells = multiprocessing.Pipe(duplex=False)
        loads = partial(_load, os.getpid(), self._listening.fileno(), tells, callback_loader)
        worker: Any = super()._spawn_worker(idx, target, loads)
        worker.terminate = partial(_ask_to_leave, worker)
        worker.hears = hears
        return worker

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        """Start again what has ended, until somebody asks for the end.

        Granian's own loop counts deaths: of two at one moment it may miss one and then turns on the spot, and
        it ends all when a process dies soon after its start. This one looks who lives.
        """
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(_LOOK_SECONDS)
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            elif not self.interrupt_signal:
                self._respawn_dead(spawn_target, target_loader)
        self.interrupt_children.clear()  # else the end would count as a failure

    def _respawn_dead(self, spawn_target: Any, target_loader: Any) -> None:
        dead = [place for place, worker in enumerate(self.wrks) if not worker.is_alive()]  # type: ignore[no-untyped-call]
        if any(time.monotonic() - self.wrks[place].birth < _YOUNG_SECONDS for place in dead):
            time.sleep(_LOOK_SECONDS)  # what cannot live must not be tried as fast as it dies
        self._respawn_workers(dead, spawn_target, target_loader)

    def _respawn_workers(
        self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0
    ) -> None:
        """Put a new process into each place. One that answers there ends when the new one can answer.

        Granian's own ends it after `delay` seconds, loaded or not: on a busy machine nobody would answer for
        a while. When the new one cannot load, all old ones stay.
        """
        for place in workers:
            old, new = self.wrks[place], self._spawn_worker(place, spawn_target, target_loader)
            new.start()
            if old.is_alive() and not self._is_loaded(new):  # type: ignore[no-untyped-call]
                new.kill()
                new.join()
                if not self.interrupt_signal:
                    logger.error("A new web process ended while it loaded: the old ones go on")
                return
            self.wrks[place] = new
            old.terminate()  # type: ignore[no-untyped-call]
            old.join(_GRACE_SECONDS)  # type: ignore[no-untyped-call]
            if old.is_alive():  # type: ignore[no-untyped-call]
                old.kill()  # type: ignore[no-untyped-call]
                old.join()  # type: ignore[no-untyped-call]

    def _is_loaded(self, worker: Any) -> bool:
        """Wait until it says so: False when it ended before, or the server is to end."""
        with contextlib.suppress(EOFError):
            while worker.is_alive() and not self.interrupt_signal:
                if worker.hears.poll(_LOOK_SECONDS):
                    worker.hears.recv()
                    return True
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that callers may queue at; StartFailed when the port cannot be had."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise StartFailed(
            f"Port {port} of {host} cannot be used ({error.strerror}); stop what uses it, or take"
            f" another one: make run PORT={port + 1}"
        ) from None
    listening.listen(1024)
    return listening


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nerapp.run.web", description="Serve pages and API.")
    parser.add_argument("application", nargs="?", default="nerapp.wsgi:application")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="the port (default: %(default)s)")
    parser.add_argument("--fd", type=int, help="a socket that listens already, instead of both")
    parser.add_argument("--processes", type=int, help="web processes (default: WEB_WORKERS)")
    parser.add_argument("--threads", type=int, help="threads in each (default: WEB_THREADS)")
    chosen = parser.parse_args()
    try:
        if chosen.processes is None or chosen.threads is None:
            settings = env.load()
            chosen.processes = chosen.processes or settings.web_workers
            chosen.threads = chosen.threads or settings.web_threads
        listening = listen(chosen.host, chosen.port) if chosen.fd is None else socket.socket(fileno=chosen.fd)
    except (StartFailed, env.EnvRefused) as refused:
        print(refused, file=sys.stderr)
        return 78 if isinstance(refused, env.EnvRefused) else 69
    _Server(
        listening,
        chosen.application,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=chosen.processes,
        blocking_threads=chosen.threads,
        blocking_threads_idle_timeout=_IDLE_SECONDS,
        respawn_failed_workers=True,
        workers_kill_timeout=_GRACE_SECONDS,
        log_level=LogLevels.error,
    ).serve(target_loader=_imported)
    return 0


def _ask_to_leave(worker: WorkerProcess) -> None:
    worker.interrupt_by_parent = True
    if worker.is_alive():  # type: ignore[no-untyped-call]
        os.kill(worker.inner.pid, signal.SIGUSR1)


def _leave(listening: int, *_: object) -> None:
    """In a web process: take no more connections, and end a moment later.

    What waits at the socket is for the other processes. Granian alone ends at once, and its HTTP closes a
    connection that it took and whose request has not come yet: that caller would get no answer. The socket is
    shared, so closing it would not keep this process from hearing of it: a deaf one takes its place.
    """
    deaf = socket.create_server(("127.0.0.1", 0))
    deaf.setblocking(False)
    shared = os.fstat(listening)
    for number in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the number of the listing itself
            if os.path.samestat(os.fstat(int(number)), shared):
                os.dup2(deaf.fileno(), int(number))
    threading.Timer(_LEAVE_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)).start()


def _load(server: int, listening: int, tells: Connection, load: Callable[[], Any]) -> Any:
    """What a web process serves. It dies with the server: else it would serve on beside the next one."""
    die_with(server)
    signal.signal(signal.SIGUSR1, partial(_leave, listening))
    # Until granian listens to it here, too. The server's own handler, which a fork inherits, does nothing in
    # a process that still loads: it would serve on, and be killed in the middle of answers after the grace.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    application = load()
    tells.send(None)
    return application


def _imported(application: str) -> Any:
    module, _, name = application.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    sys.exit(main())
