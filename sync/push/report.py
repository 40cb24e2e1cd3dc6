"""What applying a plan did, per destination."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from connector.errors import PlatformError, Unavailable


@dataclass(slots=True)
class DestinationReport:
    """What became of one destination's ops. `dropped`: additions that the person's record forbids by now.

    `fields` are people whose profile fields were written, `fields_left` those for whom that is still to be done.
    """

    destination: str
    added: int = 0
    removed: int = 0
    refused: int = 0
    unfinished: int = 0
    dropped: int = 0
    fields: int = 0
    fields_left: int = 0
    calls: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    error: PlatformError | None = None

    def plus(self, earlier: DestinationReport) -> DestinationReport:
        """Both together, as one run's work."""
        numbers = ("added", "removed", "refused", "unfinished", "dropped", "fields", "fields_left", "calls")
        sums = {name: getattr(self, name) + getattr(earlier, name) for name in numbers}
        reasons = self.reasons + earlier.reasons
        return DestinationReport(self.destination, **sums, reasons=reasons, error=self.error or earlier.error)

    def to_json(self) -> dict[str, Any]:
        """The stable machine form; the first five keys are the contract."""
        return {
            "destination": self.destination,
            "added": self.added,
            "removed": self.removed,
            "refused": self.refused,
            "calls": self.calls,
            "unfinished": self.unfinished,
            "dropped": self.dropped,
            "fields": self.fields,
            "reasons": dict(self.reasons),
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What applying a plan did."""

    plan: str
    destinations: tuple[DestinationReport, ...]

    @property
    def refused(self) -> int:
        """People refused for the first time, or again after their record changed; removals, for a new reason."""
        return sum(its.refused for its in self.destinations)

    @property
    def unfinished(self) -> int:
        """Ops, and people's fields, that wait for the next run."""
        return sum(its.unfinished for its in self.destinations)

    @property
    def exit_code(self) -> int:
        """4 when something was refused or is unfinished, 1 or 3 when a destination stopped for good."""
        errors = [its.error.exit_code for its in self.destinations if its.error]
        stopped = [code for code in errors if code not in (0, Unavailable.exit_code)]
        if stopped:
            return min(stopped)
        return Unavailable.exit_code if errors or self.refused or self.unfinished else 0

    def plus(self, earlier: ApplyReport) -> ApplyReport:
        """Both together, as one run's work; the plan is the later one."""
        before = {its.destination: its for its in earlier.destinations}
        return ApplyReport(self.plan, tuple(its.plus(before[its.destination]) for its in self.destinations))

    def to_json(self) -> list[dict[str, Any]]:
        """The stable machine form: one entry per destination."""
        return [its.to_json() for its in self.destinations]
