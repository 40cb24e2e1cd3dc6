"""What the scripts that cut vendors' JSON definitions for the tests have in common."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NAMING = ("properties", "$defs")
"""Below these stand names that the vendor chose, such as a property called "description"."""
_PROSE = {"description", "summary", "example", "examples", "$comment"}


def bare(node: Any, also: frozenset[str] = frozenset()) -> Any:
    """Without prose, and without what `also` names."""
    if isinstance(node, list):
        return [bare(each, also) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for name, value in node.items():
        if name in _NAMING and isinstance(value, dict):
            kept[name] = {inner: bare(its, also) for inner, its in value.items()}
        elif name not in _PROSE and name not in also:
            kept[name] = bare(value, also)
    return kept


def unpacked(path: Path) -> tuple[bytes, str]:
    """A file's bytes, out of its gzip, and their SHA-256."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return raw, hashlib.sha256(raw).hexdigest()


def run(trim: Callable[[dict[str, Any], str], dict[str, Any]]) -> None:
    """`SCRIPT IN OUT`: the definition in, what `trim` makes of it and of its SHA-256 out."""
    source, target = map(Path, sys.argv[1:])
    raw, digest = unpacked(source)
    target.write_text(json.dumps(trim(json.loads(raw), digest), indent=1, sort_keys=True) + "\n", "utf-8")
