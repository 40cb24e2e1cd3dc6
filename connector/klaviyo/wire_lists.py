"""Lists: calls and what their replies say.

https://developers.klaviyo.com/en/reference/lists_api_overview
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connector.base import Call, Reply
from connector.errors import BadReply
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import PLATFORM, any_of, call, document


def get_account() -> Call:
    """The account that the key belongs to: the cheapest proof of a key."""
    return call("GetAccounts", "GET", "/api/accounts")


def account_id(reply: Reply) -> str:
    """The id of the one account that a key belongs to."""
    accounts = document("GetAccounts", reply)["data"]
    if not isinstance(accounts, list) or not accounts or not accounts[0].get("id"):
        raise BadReply(PLATFORM, "GetAccounts", f"HTTP {reply.status} without an account; try again later")
    return str(accounts[0]["id"])


def get_lists(filter_: str | None = None, *, size: int | None = None) -> Call:
    """One page of lists."""
    params = [("fields[list]", "name,created"), ("page[size]", str(size or limits().pages.lists))]
    if filter_:
        params.append(("filter", filter_))
    return call("GetLists", "GET", "/api/lists", params)


def lists_named(names: Sequence[str]) -> Call:
    """Names are compared whole; any number of lists may carry one name."""
    return get_lists(any_of("name", names))


def list_with_id(list_id: str) -> Call:
    """An empty page when the list has been deleted."""
    return get_lists(any_of("id", [list_id]))


def create_list(name: str) -> Call:
    """The opt-in process is left to the account's own setting; it cannot be changed later."""
    body = {"data": {"type": "list", "attributes": {"name": name}}}
    return call("CreateList", "POST", "/api/lists", document=body)


def rename_list(list_id: str, name: str) -> Call:
    body = {"data": {"type": "list", "id": list_id, "attributes": {"name": name}}}
    return call("UpdateList", "PATCH", _path(list_id), document=body)


def flow_triggers(list_id: str) -> Call:
    """Flows that begin when someone joins the list."""
    params = [("fields[flow]", "name,status,archived")]
    return call("GetListFlowTriggers", "GET", f"{_path(list_id)}/flow-triggers", params)


def member_ids(list_id: str) -> Call:
    """One page of the ids of the list's members."""
    params = [("page[size]", str(limits().pages.members))]
    return call("GetListProfileIds", "GET", f"{_path(list_id)}/relationships/profiles", params)


def change_members(list_id: str, profile_ids: Sequence[str], *, add: bool) -> Call:
    """Adding again, or removing who is not there, changes nothing. Neither touches consent."""
    body = {"data": [{"type": "profile", "id": profile_id} for profile_id in profile_ids]}
    operation, method = ("AddProfilesToList", "POST") if add else ("RemoveProfilesFromList", "DELETE")
    return call(operation, method, f"{_path(list_id)}/relationships/profiles", document=body)


def created_since(body: Mapping[str, Any], name: str, since: float) -> list[str]:
    """Ids of the lists of a page that carry `name` and were made at or after `since`."""
    return [list_id for its, list_id in names_and_ids(body, since) if its == name]


def names_and_ids(
    body: Mapping[str, Any], since: float | None = None, until: float | None = None
) -> Iterator[tuple[str, str]]:
    """(name, id) of each list of a page, made within the bounds that are given."""
    for item in body["data"]:
        made = datetime.fromisoformat(item["attributes"]["created"]).timestamp() if since or until else 0.0
        if (since is None or made >= since) and (until is None or made <= until):
            yield item["attributes"]["name"] or "", item["id"]


def ids(body: Mapping[str, Any]) -> Iterator[str]:
    """The ids of a page."""
    for item in body["data"]:
        yield item["id"]


def created_id(operation: str, reply: Reply) -> str:
    """An empty id would turn the path of the next call into the whole collection."""
    found = document(operation, reply)["data"].get("id")
    if not found or not isinstance(found, str):
        raise BadReply(PLATFORM, operation, "the answer carries no id; run again")
    return found


def live(body: Mapping[str, Any]) -> list[str]:
    """Names of the flows that are switched on."""
    flows = [item["attributes"] for item in body["data"]]
    return [
        flow.get("name") or "(unnamed flow)"
        for flow in flows
        if flow.get("status") == "live" and not flow.get("archived")
    ]


def _path(list_id: str) -> str:
    if not list_id:
        raise ValueError("a list without an id")
    return f"/api/lists/{quote(list_id, safe='')}"
