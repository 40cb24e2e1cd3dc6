"""The endpoints that the simulator knows: which parameters each takes, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from connector.klaviyo import sandbox_writes
from connector.klaviyo.limits import limits
from connector.klaviyo.sandbox_account import Account, Person, Roll
from connector.klaviyo.sandbox_documents import Document
from connector.klaviyo.sandbox_query import COMPARE, Condition, Invalid, one_of
from connector.klaviyo.sandbox_seen import Answer, InvalidRows, Missing, Seen, TooLarge, resource

_EQUALITY = ("any", "equals")
_BEYOND = ("greater-than", "less-than")
_ORDER = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")
_SUPPRESSED_AT = "subscriptions.email.marketing.suppression.timestamp"
_ROWS = "/data/attributes/profiles/data"
_PAGING = ("page[cursor]", "page[size]")
_PROFILE_FIELDS = ("email", "phone_number", "external_id", "created", "updated", "properties", "subscriptions")
_JOB_FIELDS = ("status", "created_at", "total_count", "completed_count", "failed_count", "expires_at")
_WRITABLE = {
    "email", "phone_number", "external_id", "_kx", "first_name", "last_name", "organization", "locale", "title",
    "image", "location", "properties",
}  # fmt: skip
_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@([\w-]+\.)+[\w-]{2,}")


def _accounts(seen: Seen) -> Answer:
    return 200, seen.documents.collection([seen.documents.account()], seen.url, None)


def _lists(seen: Seen) -> Answer:
    allowed = {"name": _EQUALITY, "id": _EQUALITY, "created": ("greater-than",), "updated": ("greater-than",)}
    conditions = seen.conditions(allowed)
    order = _order(seen, ("created", "id", "name", "updated"))

    def ids() -> list[str]:
        found = [roll for roll in seen.account.lists.values() if _fits(conditions, _roll_value(roll))]
        return [roll.id for roll in _sorted(found, order, _roll_value)]

    rolls = dict(seen.account.lists)
    return 200, seen.collection(ids, lambda each: seen.documents.roll(rolls[each]), default=10, largest=10)


def _create_list(seen: Seen) -> Answer:
    name = resource(seen.body, "list").get("name")
    if not isinstance(name, str) or not name.strip():
        raise Invalid("'name' may not be blank.", pointer="/data/attributes/name")
    return 201, {"data": seen.documents.roll(seen.account.add_list(name))}


def _update_list(seen: Seen) -> Answer:
    roll = seen.roll()
    attributes = resource(seen.body, "list")
    if seen.body["data"].get("id") != roll.id:
        raise Invalid("The id of the body is not the id of the path.", pointer="/data/id")
    if set(attributes) - {"name"}:
        raise Invalid("Only the name of a list can be changed.", pointer="/data/attributes")
    seen.account.rename_list(roll, attributes["name"])
    return 200, {"data": seen.documents.roll(roll)}


def _flow_triggers(seen: Seen) -> Answer:
    roll = seen.roll()
    flows = [seen.documents.flow(flow) for flow in seen.account.flows.values() if flow.list_id == roll.id]
    return 200, seen.documents.collection(flows, seen.url, None)


def _member_ids(seen: Seen) -> Answer:
    shown = seen.account.shown(seen.roll())
    conditions = seen.conditions({"joined_group_at": _ORDER, "email": _EQUALITY})
    order = _order(seen, ("joined_group_at",)) or ["-joined_group_at"]

    def value(member: str) -> Callable[[str], Any]:
        return {"joined_group_at": shown[member], "email": seen.account.people[member].email}.__getitem__

    def ids() -> list[str]:
        return _sorted([member for member in shown if _fits(conditions, value(member))], order, value)

    return 200, seen.collection(ids, lambda each: {"type": "profile", "id": each}, default=20, largest=100)


def _add_members(seen: Seen) -> Answer:
    roll = seen.roll()
    for person in _named(seen):
        seen.account.join(roll, person)
    return 204, None


def _remove_members(seen: Seen) -> Answer:
    roll = seen.roll()
    for person in _named(seen):
        seen.account.leave(roll, person)
    return 204, None


def _named(seen: Seen) -> list[Person]:
    """The profiles of a list change: all of them, or the whole change is refused."""
    data = seen.body.get("data") if isinstance(seen.body, dict) else None
    if not isinstance(data, list) or not all(isinstance(each, dict) and each.get("type") == "profile" for each in data):
        raise Invalid("The body must be a list of profiles.", pointer="/data")
    if len(data) > limits().writes.relationship:
        raise Invalid(f"No more than {limits().writes.relationship} profiles a call.", pointer="/data")
    unknown = [each.get("id") for each in data if each.get("id") not in seen.account.people]
    if unknown:
        raise Missing("A profile of the request does not exist.")
    return [seen.account.people[each["id"]] for each in data]


def _profiles(seen: Seen) -> Answer:
    allowed = {"id": _EQUALITY, "email": _EQUALITY, "created": _BEYOND, "updated": _BEYOND, _SUPPRESSED_AT: _ORDER}
    conditions = seen.conditions(allowed)
    order = _order(seen, ("created", "email", "id", "updated", _SUPPRESSED_AT))

    def ids() -> list[str]:
        found = [person for person in _candidates(seen.account, conditions) if person.visible_at <= seen.now]
        found = [person for person in found if all(_matches(person, each) for each in conditions)]
        return [person.id for person in _sorted(found, order, _person_value)]

    return 200, seen.collection(ids, _person_renderer(seen), default=20, largest=100)


def _person_renderer(seen: Seen) -> Callable[[str], Document]:
    extra = one_of(seen.query, "additional-fields[profile]", ["subscriptions", "predictive_analytics"])
    return lambda each: seen.documents.person(seen.account.people[each], subscriptions="subscriptions" in extra)


def _candidates(account: Account, conditions: Sequence[Condition]) -> Iterable[Person]:
    """By the index of addresses where the filter names some, else everybody."""
    for condition in conditions:
        if condition.field == "email":
            values = condition.value if condition.operator == "any" else [condition.value]
            found = {person.id: person for value in values if (person := account.find_person(value))}
            return found.values()
    return account.people.values()


def _matches(person: Person, condition: Condition) -> bool:
    if condition.field == "email":
        return True
    if condition.field == _SUPPRESSED_AT:
        return any(COMPARE[condition.operator](int(at), condition.value) for _, at in person.suppressions)
    return COMPARE[condition.operator](_person_value(person)(condition.field), condition.value)


def _start_import(seen: Seen) -> Answer:
    if seen.size > 5_000_000:
        raise TooLarge
    rows = ((resource(seen.body, "profile-bulk-import-job").get("profiles") or {}).get("data")) or []
    if not 1 <= len(rows) <= limits().writes.import_profiles:
        raise Invalid(f"Between 1 and {limits().writes.import_profiles} profiles a job.", pointer=_ROWS)
    lists = ((seen.body["data"].get("relationships") or {}).get("lists") or {}).get("data") or []
    if len(lists) > 1:
        raise Invalid("No more than one list a job.", pointer="/data/relationships/lists/data")
    list_id = lists[0]["id"] if lists else None
    if list_id is not None and list_id not in seen.account.lists:
        raise Invalid(f"List ID {list_id} does not exist.", pointer="/data")
    problems = [problem for index, row in enumerate(rows) if (problem := _row_problem(index, row))]
    if problems:
        raise InvalidRows(problems)
    job = seen.account.start_import(list_id, [row["attributes"]["email"] for row in rows])
    return 202, {"data": seen.documents.job(job, seen.now)}


def _row_problem(index: int, row: Any) -> Invalid | None:
    attributes = row.get("attributes") if isinstance(row, dict) else None
    if not isinstance(attributes, dict) or row.get("type") != "profile":
        return Invalid("Not a profile.", pointer=f"{_ROWS}/{index}")
    for name in attributes:
        if name not in _WRITABLE:
            text = f"'{name}' is not a valid field for the resource 'profile'."
            return Invalid(text, pointer=f"{_ROWS}/{index}/attributes/{name}")
    email = attributes.get("email")
    if not isinstance(email, str) or not _ADDRESS.fullmatch(email):
        return Invalid(f"{email} is not a valid email address.", pointer=f"{_ROWS}/{index}/attributes/email")
    if len(orjson.dumps(row)) > 100_000:
        return Invalid("The profile is larger than 100 kB.", pointer=f"{_ROWS}/{index}")
    return None


def _job(seen: Seen) -> Answer:
    return 200, {"data": seen.documents.job(seen.job(), seen.now)}


def _import_errors(seen: Seen) -> Answer:
    job = seen.job()
    failures = {str(failure.index): failure for failure in job.failures}

    def render(each: str) -> Document:
        return seen.documents.failure(job, failures[each])

    return 200, seen.collection(lambda: list(failures), render, default=20, largest=100)


def _imported(seen: Seen) -> Answer:
    landed = seen.job().landed
    return 200, seen.collection(lambda: landed, _person_renderer(seen), default=20, largest=100)


def _order(seen: Seen, names: Sequence[str]) -> list[str]:
    return one_of(seen.query, "sort", [sign + name for name in names for sign in ("", "-")])


def _fits(conditions: Sequence[Condition], value: Callable[[str], Any]) -> bool:
    return all(COMPARE[each.operator](value(each.field), each.value) for each in conditions)


def _sorted(found: list[Any], order: Sequence[str], value: Callable[[Any], Callable[[str], Any]]) -> list[Any]:
    if not order:
        return found
    name = order[0].lstrip("-")
    return sorted(found, key=lambda each: value(each)(name), reverse=order[0].startswith("-"))


def _roll_value(roll: Roll) -> Callable[[str], Any]:
    return {"name": roll.name, "id": roll.id, "created": roll.created, "updated": roll.updated}.__getitem__


def _person_value(person: Person) -> Callable[[str], Any]:
    suppressed = max((at for _, at in person.suppressions), default=0.0)
    values = {"id": person.id, "email": person.email, "created": person.created, "updated": person.updated}
    return {**values, _SUPPRESSED_AT: suppressed}.__getitem__


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`fields` are the attributes that may be asked for by `fields[type]`."""

    operation: str
    method: str
    path: re.Pattern[str]
    act: Callable[[Seen], Answer]
    params: tuple[str, ...] = ()
    fields: Mapping[str, Sequence[str]] | None = None


def _endpoint(
    operation: str,
    method: str,
    path: str,
    act: Callable[[Seen], Answer],
    params: Sequence[str] = (),
    **fields: Sequence[str],
) -> Endpoint:
    named = {name.replace("_", "-"): its for name, its in fields.items()}
    pattern = re.compile("/api/" + path.replace("{id}", "(?P<id>[^/]+)"))
    return Endpoint(operation, method, pattern, act, (*params, *(f"fields[{name}]" for name in named)), named)


_LISTS = ("name", "created", "updated", "opt_in_process", "id")
_FLOWS = ("name", "status", "archived", "created", "updated", "trigger_type", "id")
_JOBS = (*_JOB_FIELDS, "completed_at", "started_at", "id")
_SELECT = ("filter", "sort", *_PAGING)
_MEMBERS = "lists/{id}/relationships/profiles"
_IMPORTS = "profile-bulk-import-jobs"

ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GetAccounts", "GET", "accounts", _accounts, account=("timezone", "test_account", "locale", "id")),
    _endpoint("GetLists", "GET", "lists", _lists, _SELECT, list=_LISTS),
    _endpoint("CreateList", "POST", "lists", _create_list, list=_LISTS),
    _endpoint("UpdateList", "PATCH", "lists/{id}", _update_list, list=_LISTS),
    _endpoint("GetListFlowTriggers", "GET", "lists/{id}/flow-triggers", _flow_triggers, flow=_FLOWS),
    _endpoint("GetListProfileIds", "GET", _MEMBERS, _member_ids, _SELECT),
    _endpoint("AddProfilesToList", "POST", _MEMBERS, _add_members),
    _endpoint("RemoveProfilesFromList", "DELETE", _MEMBERS, _remove_members),
    _endpoint(
        "GetProfiles", "GET", "profiles", _profiles, (*_SELECT, "additional-fields[profile]"), profile=_PROFILE_FIELDS
    ),
    _endpoint(
        "UpdateProfile",
        "PATCH",
        "profiles/{id}",
        sandbox_writes.update_profile,
        ("additional-fields[profile]",),
        profile=_PROFILE_FIELDS,
    ),
    _endpoint(
        "ImportProfile",
        "POST",
        "profile-import",
        sandbox_writes.import_profile,
        ("additional-fields[profile]",),
        profile=_PROFILE_FIELDS,
    ),
    _endpoint("CreateEvent", "POST", "events", sandbox_writes.create_event),
    _endpoint("GetMetrics", "GET", "metrics", sandbox_writes.metrics, ("page[cursor]",), metric=("name", "created")),
    _endpoint("GetMetricFlowTriggers", "GET", "metrics/{id}/flow-triggers", sandbox_writes.metric_flows, flow=_FLOWS),
    _endpoint("SubscribeProfiles", "POST", "profile-subscription-bulk-create-jobs", sandbox_writes.subscribe_profiles),
    _endpoint("CreateImportJob", "POST", _IMPORTS, _start_import, profile_bulk_import_job=_JOBS),
    _endpoint("GetImportJob", "GET", _IMPORTS + "/{id}", _job, profile_bulk_import_job=_JOBS),
    _endpoint("GetImportErrors", "GET", _IMPORTS + "/{id}/import-errors", _import_errors, _PAGING),
    _endpoint(
        "GetImportProfiles",
        "GET",
        _IMPORTS + "/{id}/profiles",
        _imported,
        (*_PAGING, "additional-fields[profile]"),
        profile=_PROFILE_FIELDS,
    ),
)
