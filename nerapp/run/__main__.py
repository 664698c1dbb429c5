"""`python -m nerapp.run`: up (default), exec COMMAND, reset."""

from __future__ import annotations

import argparse
import sys

from nerapp.run import up
from nerapp.run.console import Console


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nerapp.run", description="Run nerapp on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and stay until Ctrl-C")
    start.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    start.add_argument("--no-browser", action="store_true", help="do not open a browser")
    run = commands.add_parser("exec", help="run a command with the services up")
    run.add_argument("--bare", action="store_true", help="take the database as it is, even empty")
    run.add_argument("argv", nargs=argparse.REMAINDER, help="the command and its arguments")
    forget = commands.add_parser("reset", help="delete all data of this folder; asks first")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    chosen = parser.parse_args()
    if chosen.command == "exec":
        if not chosen.argv:
            run.error("a command is needed")
        console = Console(sys.stderr)  # standard output is the command's
        return up.told(console, lambda: up.execute(console, chosen.argv, bare=chosen.bare))
    console = Console()
    if chosen.command == "reset":
        return up.told(console, lambda: up.reset(console, sure=chosen.yes))
    return up.told(console, lambda: up.up(console, host=chosen.host, browser=not chosen.no_browser))


if __name__ == "__main__":
    sys.exit(main())
