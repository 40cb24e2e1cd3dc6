"""`python -m bench [NAMES] [--quick] [--data DIR] [--output FILE]`. Verdicts are printed; the exit code is 0."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from bench.runner import Bench, Result, table

GROUPS = {
    "ingest": "targets 2 and 5: pages into SQLite, and the same pages again",
    "peers": "targets 3 and 4: the same pages through dlt and Singer's tap and target, where they are installed",
    "derive": "targets 6, 7 and 9: metrics from facts: all, a few, and those whose windows move",
    "rules": "target 8: thirty rules and their changes",
    "memory": "target 11: the largest resident size while pages come in",
    "push": "target 13: requests that a difference takes",
    "calls": "requests of a first and a second sync beside the fewest the platforms' limits allow",
    "startup": "target 12: `regulars --help`",
}
PEERS = "an interpreter that has 'dlt[sqlalchemy]' and singer-sdk, for `peers` (default: this one)"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Targets, ratios and verdicts.",
        epilog="\n".join(f"  {name:8} {text}" for name, text in GROUPS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which groups (default: all)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, best of two")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a real shop's tables, for `calls`")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help=PEERS)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in GROUPS]
    if unknown:
        parser.error(f"no group {unknown[0]!r}; there are {', '.join(GROUPS)}")
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        bench = Bench(options.quick, Path(folder), options.data, options.peers)
        for name in options.names or GROUPS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            run: Callable[[Bench], Iterator[Result]] = import_module(f"bench.{name}").run
            results += run(bench)
    text = table(results)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
