"""Target 11: the largest resident size while orders come in, at two sizes, beside the same program idle.

Run as a program it is that program: `python -m bench.memory ADDRESS DATABASE` prints its idle and its largest size.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from bench.pages import serving
from bench.runner import Bench, Result, at_most

MEGABYTE = 1 << 20
_names = count()


def run(bench: Bench) -> Iterator[Result]:
    sizes = (bench.size(10_000, 1_000), bench.size(80_000, 4_000))
    found = {orders: _ingest(bench, orders) for orders in sizes}
    idle, largest = found[sizes[-1]]
    shown = ", ".join(f"{orders:,} orders {peak / MEGABYTE:.0f} MB" for orders, (_, peak) in found.items())
    figures = f"idle with all imports {idle / MEGABYTE:.0f} MB; largest while reading {shown}"
    yield at_most("11a", "largest resident size while orders come in, beside idle", 3, largest / idle, figures)
    yield at_most("11b", "the same in megabytes", 180, largest / MEGABYTE, figures, " MB")


def _ingest(bench: Bench, orders: int) -> tuple[int, int]:
    with serving(orders) as address:
        command = [sys.executable, "-m", "bench.memory", address, str(bench.folder / f"memory{next(_names)}")]
        idle, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return int(idle), int(peak)


def _peak() -> int:
    """The high-water mark of this program alone: Linux hands `ru_maxrss` of the parent on to its children."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    from bench.ingest import new_store, pull_orders, source
    from sync import metrics
    from sync.push import apply, plan
    from sync.segments import evaluate

    address, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir()
    store = new_store(folder, indexed=False)
    reader = source(address)
    assert all((apply, metrics, plan, evaluate))
    idle = _peak()
    pull_orders(reader, store)
    print(json.dumps([idle, _peak()]))
    store.close()


if __name__ == "__main__":
    main()
