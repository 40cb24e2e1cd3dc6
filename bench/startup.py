"""Target 12: how long `regulars --help` takes beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.runner import Bench, Result, alternate, at_most

ROUNDS = 9


def run(bench: Bench) -> Iterator[Result]:
    script = Path(sys.executable).with_name("regulars")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "sync.cli.main"]
    best = alternate(
        ROUNDS,
        help=lambda: partial(_run, [*command, "--help"]),
        nothing=lambda: partial(_run, [sys.executable, "-c", "pass"]),
    )
    figures = (
        f"--help {best['help']}, python -c pass {best['nothing']}; "
        f"wall-clock ratio {best['help'].wall / best['nothing'].wall:.1f}x"
    )
    yield at_most("12", "regulars --help beside python -c pass", 12, best["help"].cpu / best["nothing"].cpu, figures)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
