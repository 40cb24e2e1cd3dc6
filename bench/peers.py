"""Targets 3 and 4: the same pages through dlt and through Singer's tap and target, where they are installed.

They are no dependencies of ours. `--peers PYTHON` names an interpreter that has them, for example of
`python -m venv /tmp/peers && /tmp/peers/bin/pip install 'dlt[sqlalchemy]' singer-sdk`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.ingest import new_store, pull_orders, source
from bench.pages import serving
from bench.runner import Bench, Result, Timed, Timing, alternate, at_least, missing

PEERS = (
    ("3", "dlt", "peer_dlt", 6.0, "pages into SQLite, speed beside dlt (REST source, merge into SQLite)"),
    ("4", "singer_sdk", "peer_singer", 8.0, "the same beside a Singer tap and target (SQLite)"),
)
ROUNDS = 3


def run(bench: Bench) -> Iterator[Result]:
    python = str(bench.peers or sys.executable)
    orders = bench.size(5_000, 1_000)
    with serving(orders) as address:

        def ours() -> Timed:
            return partial(pull_orders, source(address), new_store(bench.folder, indexed=False))

        for number, package, program, limit, what in PEERS:
            if subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode:
                yield missing(number, what, f">= {limit:g}x", f"not installed: {package} (see python -m bench --help)")
                continue
            mine: list[Timing] = []
            other: list[Timing] = []
            for turn in range(ROUNDS):
                mine.append(alternate(bench.rounds, ours=ours)["ours"])
                other.append(_theirs(python, program, address, bench.folder / f"{program}{turn}"))
            best, theirs = _least(mine), _least(other)
            figures = (
                f"{orders:,} orders; ours {best}, {package} {theirs}, start and imports left out on both sides\n"
                f"wall-clock ratio {theirs.wall / best.wall:.1f}x"
            )
            yield at_least(number, what, limit, theirs.cpu / best.cpu, figures)


def _theirs(python: str, program: str, address: str, place: Path) -> Timing:
    """The peer's own clocks around the work."""
    place.mkdir()
    command = [python, "-m", f"bench.{program}", address, str(place)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return Timing(*json.loads(done.stderr.splitlines()[-1]))


def _least(times: list[Timing]) -> Timing:
    return Timing(min(one.cpu for one in times), min(one.wall for one in times))
