"""One writer per store.

The lock is the operating system's, on a file beside the database, so it ends with its process, even by `kill -9`. The
file's text (process, start, command) is for the message to whoever comes second. Where the file system knows no locks,
that text decides: a process that lives, and is the one that wrote it, holds the lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from connector.base import Clock
from sync.errors import BusyError

_TAKEN = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


class RunLock:
    """Held from `with` to its end. Raises BusyError, in one line with process and age, while another holds it."""

    def __init__(self, path: Path | str, clock: Clock, command: str = "") -> None:
        self.path = Path(f"{path}.lock")
        self._store = Path(path)
        self._clock = clock
        self._command = command
        self._file: int | None = None

    def __enter__(self) -> RunLock:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            free = _lock(descriptor)
            holder = _read(descriptor)
            if free is False or (free is None and _alive(holder)):
                raise BusyError(self._busy(holder))
            _write(
                descriptor,
                {
                    "pid": os.getpid(),
                    "began": _birth(os.getpid()),
                    "at": int(self._clock.now()),
                    "command": self._command,
                },
            )
        except BaseException:
            os.close(descriptor)
            raise
        self._file = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def _busy(self, holder: dict[str, Any]) -> str:
        if "pid" not in holder:
            return f"{self._store}: another run is at work on this database; wait for its end and run the command again"
        age = max(0, int(self._clock.now()) - int(holder.get("at", 0)))
        name = f"`{holder['command']}`" if holder.get("command") else "another run"
        return (
            f"{self._store}: {name} (process {holder['pid']}) has been at work on this database for {_span(age)}; "
            "wait for its end or stop that process"
        )


def _lock(descriptor: int) -> bool | None:
    """True: taken. False: another process holds it. None: this file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # The byte lies behind the text, which stays readable: locks are mandatory there.
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def _read(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with contextlib.suppress(orjson.JSONDecodeError):
        found = orjson.loads(os.read(descriptor, 4096))
        if isinstance(found, dict):
            return found
    return {}


def _write(descriptor: int, text: dict[str, Any]) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, orjson.dumps(text))


def _alive(holder: dict[str, Any]) -> bool:
    """Whether the process that wrote this lives; a later one with its number does not count."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    began = _birth(pid)
    return began is None or holder.get("began") is None or began == holder["began"]


def _birth(pid: int) -> str | None:
    """When the process began, as Linux tells it: boot and clock ticks (man 5 proc, `starttime`)."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, IndexError):
        return None
    return f"{boot}:{ticks}"


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
