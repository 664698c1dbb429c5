"""`python -m nerapp.run.web`: the web server, granian, with all its processes on one socket of ours.

docs/adr/0005-web-server.md says why this server and why this socket.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import socket
import sys
import time
from functools import partial
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from nerapp import env
from nerapp.run.process import die_with
from nerapp.run.supervisor import StartFailed

#: So long may answers take that are under way when the server is told to end.
_GRACE_SECONDS = 20
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
        if dead:
            self._respawn_workers(dead, spawn_target, target_loader)


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
    ).serve(target_loader=partial(_load, os.getpid()))
    return 0


def _load(server: int, application: str) -> Any:
    """What a web process serves. It dies with the server: else it would serve on beside the next one."""
    die_with(server)
    # Until granian listens to it here, too. The server's own handler, which a fork inherits, does nothing in
    # a process that still loads: it would serve on, and be killed in the middle of answers after the grace.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    module, _, name = application.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    sys.exit(main())
