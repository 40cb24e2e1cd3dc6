"""Events of people, and the flows that begin with them.

https://developers.klaviyo.com/en/reference/create_event
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from connector.base import Call
from connector.klaviyo.wire import call, instant


def create_event(
    metric: str, profile_id: str, unique_id: str, at: int, properties: Mapping[str, str], *, quiet: bool
) -> Call:
    """Of the events of one profile, metric and `unique_id`, Klaviyo keeps the first. `quiet`: no flow begins.

    The profile goes by its id: an address would make one where there is none.
    """
    attributes = {
        "metric": {"data": {"type": "metric", "attributes": {"name": metric}}},
        "profile": {"data": {"type": "profile", "id": profile_id, "attributes": {}}},
        "properties": dict(properties),
        "time": instant(at),
        "unique_id": unique_id,
        "backfill": quiet,
    }
    return call("CreateEvent", "POST", "/api/events", document={"data": {"type": "event", "attributes": attributes}})


def get_metrics() -> Call:
    """One page of metrics, as large as Klaviyo makes it; the name cannot be asked for."""
    return call("GetMetrics", "GET", "/api/metrics", [("fields[metric]", "name")])


def metric_flows(metric_id: str) -> Call:
    """Flows that begin with an event of the metric."""
    if not metric_id:
        raise ValueError("a metric without an id")
    params = [("fields[flow]", "name,status,archived")]
    path = f"/api/metrics/{quote(metric_id, safe='')}/flow-triggers"
    return call("GetMetricFlowTriggers", "GET", path, params)


def ids_named(body: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """Ids of the metrics of a page that carry one of the names."""
    for item in body["data"]:
        if item["attributes"].get("name") in names:
            yield item["id"]
