"""Records for which something has to be asked beside them: kept until one request is full, and remembered meanwhile.

A token names those that were passed by, so that a walk which is stopped reads them again by their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from connector.wix.wire import text

Found = dict[str, Any]


class Waiting:
    """Records of one walk that wait. `ask` completes up to `most` of them, and tells whether asking goes on at all.

    Fewer than `most` wait from one page to the next.
    """

    def __init__(self, most: int, needs: Callable[[Found], bool], ask: Callable[[Sequence[Found]], bool]) -> None:
        self._most = most
        self._needs = needs
        self._ask = ask
        self._open: dict[str, Found] = {}

    def sift(self, found: Iterable[Found], *, last: bool = False) -> list[Found]:
        """Those that are complete, of these and of those that waited; all of them if `last`.

        A record that comes again replaces itself; one without an id cannot wait.
        """
        whole = []
        for record in found:
            name = (text(record.get("id")) or "").lower()
            self._open.pop(name, None)
            if name and self._needs(record):
                self._open[name] = record
            else:
                whole.append(record)
        while self._open and (last or len(self._open) >= self._most):
            asked = [self._open.pop(name) for name in list(islice(self._open, self._most))]
            if not self._ask(asked):
                asked += self._open.values()
                self._open = {}
            whole += asked
        return whole

    def token(self, place: str | None) -> str | None:
        """Where the walk goes on, with who waits; None at its end."""
        return f"{place};{','.join(self._open)}" if place and self._open else place


def place(token: str | None) -> str:
    """The place of a token."""
    return (token or "").partition(";")[0]


def owed(token: str | None) -> list[str]:
    """The records that were passed by before a token."""
    return [each for each in (token or "").partition(";")[2].split(",") if each]


def renewed(found: Sequence[Found], again: Sequence[Found]) -> list[Found]:
    """What was found, with what was read again by id in its place."""
    known = {each.get("id") for each in again}
    return [*(each for each in found if each.get("id") not in known), *again]
