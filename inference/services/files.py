"""Files that callers send, on the disk. No path ever comes from a client."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from django.db.models import Model

from inference.errors import FileTooLarge, StorageFull

#: Files are read and written in pieces of so many bytes.
CHUNK = 1024 * 1024
#: No upload takes longer.
_ARRIVES_WITHIN = 24 * 3600.0
_NAME_LIMIT = 255
_SEPARATORS = re.compile(r"[/\\]")


class Readable(Protocol):
    """A file or a request."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it arrived on the disk."""

    size_bytes: int
    sha256: str


def file_new(path: Path) -> BinaryIO:
    """Open a file of a job for writing, from empty; a link that lies in its place is not followed."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=CHUNK)


def upload_write(path: Path, chunks: Iterable[bytes], *, limit: int) -> Stored:
    """Write what comes in to the disk; FileTooLarge, and nothing left, once it is more than allowed.

    Raises StorageFull, and leaves nothing either, when the disk has no room for it.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with file_new(path) as file:
            for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise FileTooLarge(limit=size_shown(limit), size=f"more than {size_shown(limit)}")
                digest.update(chunk)
                file.write(chunk)
    except BaseException as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull() from error
        raise
    return Stored(size, digest.hexdigest())


def chunks_of(stream: Readable) -> Iterable[bytes]:
    """A stream, piece by piece."""
    return iter(lambda: stream.read(CHUNK), b"")


def folders_sweep(parent: Path, jobs: type[Model]) -> None:
    """Remove what requests left that died before their file became a job's."""
    long_ago = time.time() - _ARRIVES_WITHIN
    for folder in parent.glob("*-*"):
        if folder.stat().st_mtime < long_ago and not jobs._default_manager.filter(pk=folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)


def file_name_clean(name: str) -> str:
    """A file's name for people: no folders, no invisible or direction-changing characters, 255 at most."""
    last = _SEPARATORS.split(unicodedata.normalize("NFC", name))[-1]
    shown = "".join(char for char in last if unicodedata.category(char)[0] != "C")
    return " ".join(shown.split())[:_NAME_LIMIT]


def size_shown(count: int) -> str:
    """A size in words."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}".replace(".0 ", " ")
        size /= 1024
    return f"{size:.1f} GiB".replace(".0 ", " ")
