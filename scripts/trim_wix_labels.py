"""Puts the JSON Schemas of Wix's label calls into one file for the tests.

    python scripts/trim_wix_labels.py FOLDER

FOLDER holds a schema per request and response (`labels_query.request.json`, ...), drawn from the vendor's own types.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import orjson

OUT = Path(__file__).resolve().parent.parent / "tests" / "specs" / "wix_labels.json"
CALLS = (
    "labels_find_or_create.request",
    "labels_find_or_create.response",
    "labels_query.request",
    "labels_query.response",
    "contacts_label.request",
    "contacts_label.response",
    "contacts_unlabel.request",
    "contacts_unlabel.response",
    "contacts_bulk_add_remove_labels.request",
    "contacts_bulk_add_remove_labels.response",
    "contacts_query.request",
    "contacts_query.response",
    "bulk_job_get.response",
    "error.response",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    schemas = {name: orjson.loads((folder / f"{name}.json").read_bytes()) for name in CALLS}
    lines = (
        f"{json.dumps(name)}: {orjson.dumps(schema, option=orjson.OPT_SORT_KEYS).decode()}"
        for name, schema in schemas.items()
    )
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
