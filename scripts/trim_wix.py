"""Copy the schemas of the Wix calls that Regulars makes into the tests: `trim_wix.py FOLDER [OUT]`.

The schemas are made from the vendor's types (see `origin.json` beside the copies); prose goes, the rest stays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trimming import bare, unpacked

TARGET = Path(__file__).parents[1] / "tests" / "specs" / "wix"
TITLES = frozenset({"title"})
ORIGIN = "types and URL tables of the vendor's public JS SDK (auto_sdk packages), checked 2026-11-21"


def main(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    digests = {}
    for path in sorted(source.glob("*.json")):
        raw, digests[path.name] = unpacked(path)
        whole = json.loads(raw)
        trimmed = whole if path.name == "examples.json" else bare(whole, TITLES)
        (target / path.name).write_text(json.dumps(trimmed, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")
    origin = {"source": ORIGIN, "sha256": digests}
    (target / "origin.json").write_text(json.dumps(origin, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET)
