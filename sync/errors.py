"""What a user can mend, as one line each.

    RegularsError            exit 1
    ├── UsageError           exit 2
    ├── ConfigError          exit 1, names file, line and key
    ├── SegmentError         exit 1, names file, line and shows a caret
    ├── StoreError           exit 1, database or disk
    ├── BusyError            exit 1, another run holds the lock
    └── Held                 exit 5, a guard or a stale plan
Platform failures are `connector.errors.PlatformError`.
"""

from __future__ import annotations


class RegularsError(Exception):
    """One line: the fact, the number, the way out."""

    exit_code = 1


class UsageError(RegularsError):
    """A command called in a way that makes no sense."""

    exit_code = 2


class ConfigError(RegularsError):
    """A setting that is missing or wrong; the text begins with file, line and key."""


class SegmentError(RegularsError):
    """A segment that does not compile; the text begins with file and line."""


class StoreError(RegularsError):
    """The database cannot be opened or written."""


class BusyError(RegularsError):
    """Another run holds the store's lock."""


class Held(RegularsError):
    """A guard holds the write, or the plan is stale."""

    exit_code = 5
