"""The page server's orders through dlt's REST source into SQLite: `python -m bench.peer_dlt ADDRESS FOLDER`."""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    address, folder = sys.argv[1:]
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", DLT_DATA_DIR=folder, RUNTIME__LOG_LEVEL="ERROR")
    import dlt
    from dlt.sources.rest_api import rest_api_source

    cursor = {"type": "cursor", "cursor_path": "data.orders.pageInfo.endCursor", "cursor_param": "after"}
    orders = {
        "name": "orders",
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {"path": "orders", "data_selector": "data.orders.nodes", "paginator": cursor},
    }
    source = rest_api_source({"client": {"base_url": address}, "resources": [orders]})
    destination = dlt.destinations.sqlalchemy(f"sqlite:///{folder}/dlt.db")
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=folder)
    wall, cpu = time.perf_counter(), time.process_time()
    pipeline.run(source)
    spent = [time.process_time() - cpu, time.perf_counter() - wall]
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(counts)
    assert counts["orders"], counts
    print(json.dumps(spent), file=sys.stderr)


if __name__ == "__main__":
    main()
