"""`regulars` on a clock whose waiting takes a hundredth of its time: the simulators are hurried too."""

from __future__ import annotations

from sync.cli import main as command
from sync.clock import SystemClock


def main() -> None:
    """The command, as it is installed."""
    spend = SystemClock.sleep

    def spend_less(clock: SystemClock, seconds: float) -> None:
        spend(clock, max(0.0, seconds) / 100)

    SystemClock.sleep = spend_less  # type: ignore[method-assign]
    try:
        command.main()
    finally:
        SystemClock.sleep = spend  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
