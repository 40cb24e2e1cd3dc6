"""Mailchimp's requests and their limits: 1,000 members a page, 500 on and 500 off a change of a tag, 500 operations a
batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from bench.sent import Line, Sent, Tally, up
from connector.base import Reply
from connector.mailchimp.limits import limits
from connector.sandbox.wire import Request

MEMBERS, ALONE = "GET members, all", "members, one by one"
CHANGED = "GET members that changed"
CREATE, CHANGE, BATCH = "POST segments", "POST segments/*", "POST batches"


def read(request: Request, reply: Reply) -> Sent:
    steps = request.path.strip("/").removeprefix("3.0/").split("/")
    query = dict(request.query)
    body: Any = orjson.loads(request.body) if request.body.startswith(b"{") else {}
    match request.method, steps:
        case "GET", ["lists", _, "members"]:
            name = CHANGED if "since_last_changed" in query else MEMBERS
            return Sent(name, query.get("status", ""), [each["id"] for each in orjson.loads(reply.body)["members"]])
        case _, ["lists", _, "members", member, *_]:
            return Sent(ALONE, "", [f"{request.method} {member}"])
        case "POST", ["lists", _, "members"]:
            return Sent(ALONE, "", [str(body.get("email_address"))])
        case "POST", ["lists", _, "segments"]:
            return Sent(CREATE, "", [body["name"]])
        case "POST", ["lists", _, "segments", tag]:
            sides = (("+", "members_to_add"), ("-", "members_to_remove"))
            return Sent(CHANGE, tag, [sign + each for sign, side in sides for each in body.get(side, ())])
        case "POST", ["batches"]:
            return Sent(BATCH, "", [f"{each['path']} {each.get('body')}" for each in body["operations"]])
        case "GET", ["batches", *_]:
            return Sent("GET batches (looks)")
        case _, ["lists", _, *rest]:
            return Sent(f"{request.method} {'/'.join(rest)}")
        case _:
            return Sent(f"{request.method} {steps[0]}")


def writing(tally: Tally) -> Iterator[Line]:
    """By what each request carries. Where a batch stands, its results, and names of tags are asked for without a limit.

    A page is asked for with some rows of the one before: what that costs is judged.
    """
    yield tally.filled(MEMBERS, limits().pages.size, empty=1)
    yield tally.filled(CHANGED, limits().pages.size, empty=1)
    yield tally.filled(CREATE, 1)
    size = limits().writes.tag
    changes = 0
    for items in tally.groups(CHANGE):
        adds = sum(each.startswith("+") for each in items)
        changes += max(up(adds, size), up(len(items) - adds, size))
    yield tally.line(CHANGE, changes)
    yield tally.filled(BATCH, limits().writes.batch)
    yield tally.filled(ALONE, 1)
