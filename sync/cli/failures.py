"""The one place where an exception becomes a line on stderr and an exit code. Mistakes and bugs look different."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import traceback
from importlib.metadata import version
from pathlib import Path

import typer
from typer.exceptions import TyperException

from connector.errors import PlatformError
from connector.redact import redact
from sync.errors import RegularsError

BUG = 3
INTERRUPTED = 130


def explain(error: Exception | KeyboardInterrupt) -> int:
    """Print what happened to stderr and return its exit code.

    1 to mend, 2 usage, 3 a bug, 4 partly done, 5 held, 130 interrupted.
    """
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        print("interrupted; what was done is kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, TyperException):
        print(_usage(error), file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, RegularsError | PlatformError):
        print(redact(str(error)), file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        print(
            f"{error.filename or 'file'}: {os.strerror(error.errno).lower()}; mend that and run again", file=sys.stderr
        )
        return 1
    print(f"this is a bug in regulars: {type(error).__name__}; please report it with {_report(error)}", file=sys.stderr)
    return BUG


def _usage(error: TyperException) -> str:
    """What is wrong with the command line, and where its help is; the help itself where nothing was asked."""
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    if context is None or "\n" in message:
        return str(message)
    return f"{context.command_path}: {message.rstrip('.')}; see `{context.command_path} --help`"


def _report(error: Exception) -> Path:
    """Write the whole story, scrubbed, to a private file and return its path."""
    lines = traceback.format_exception(error)
    head = f"regulars {version('regulars')}, Python {platform.python_version()}, {platform.system()}\n\n"
    with tempfile.NamedTemporaryFile(
        "w", prefix="regulars-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(head + redact("".join(lines)))
    return Path(file.name)
