"""Klaviyo's requests and their limits: 1,000 profiles a change of a list, 10,000 an import, 100 a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from bench.sent import Line, Sent, Tally
from connector.base import Reply
from connector.klaviyo.limits import limits
from connector.sandbox.wire import Request

LOOKUP, CHANGED = "GET /api/profiles by address", "GET /api/profiles that changed"
CREATE = "POST /api/lists"
LISTS = "/api/lists/*/relationships/profiles"
IMPORT = "POST /api/profile-bulk-import-jobs"


def read(request: Request, reply: Reply) -> Sent:
    steps = request.path.strip("/").split("/")
    if len(steps) > 2 and steps[0] == "api":
        steps[2] = "*"
    name = f"{request.method} /{'/'.join(steps)}"
    body: Any = orjson.loads(request.body) if request.body.startswith(b"{") else {}
    if name.endswith(LISTS):
        return Sent(name, request.path, [each["id"] for each in body.get("data", ())])
    if name == CREATE:
        return Sent(name, "", [body["data"]["attributes"]["name"]])
    if name == IMPORT:
        data = body["data"]
        lists = orjson.dumps(data.get("relationships", {})).decode()
        profiles = data["attributes"]["profiles"]["data"]
        return Sent(name, lists, [orjson.dumps(each).decode() for each in profiles])
    asked = dict(request.query).get("filter", "")
    if name == "GET /api/profiles" and asked.startswith("any(email"):
        return Sent(LOOKUP, "", asked[asked.index("[") + 1 : asked.rindex("]")].split('","'))
    if name == "GET /api/profiles" and "updated" in asked:
        return Sent(CHANGED, "", [each["id"] for each in orjson.loads(reply.body)["data"]])
    return Sent(name)


def writing(tally: Tally) -> Iterator[Line]:
    """By what each request carries or brings; what our own changes bring back is among that.

    Where a job stands, what it made, and flows are asked for without a limit.
    """
    yield tally.filled(LOOKUP, limits().pages.profiles)
    yield tally.filled(CHANGED, limits().pages.profiles, empty=1)
    yield tally.filled(CREATE, 1)
    yield tally.filled(IMPORT, limits().writes.import_profiles)
    for method in ("POST", "DELETE"):
        yield tally.filled(f"{method} {LISTS}", limits().writes.relationship)
