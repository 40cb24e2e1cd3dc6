"""What the simulator does with writes for one person: properties, events, subscriptions.

Not established for the real API, and so a choice here: an update of a profile that is not there is refused with 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from connector.klaviyo.sandbox_account import Event, Person
from connector.klaviyo.sandbox_documents import Document
from connector.klaviyo.sandbox_query import Invalid, one_of
from connector.klaviyo.sandbox_seen import Answer, Duplicate, Missing, Seen, resource

_LONGEST = 128


def update_profile(seen: Seen) -> Answer:
    attributes = resource(seen.body, "profile")
    person = seen.person()
    if seen.body["data"].get("id") != person.id:
        raise Invalid("The id of the body is not the id of the path.", pointer="/data/id")
    if attributes:
        raise Invalid("The simulator changes no attributes.", pointer="/data/attributes")
    _patch(seen, person)
    return 200, {"data": _document(seen, person)}


def import_profile(seen: Seen) -> Answer:
    """Creates or updates the profile at the address."""
    attributes = resource(seen.body, "profile")
    email = attributes.get("email")
    if not isinstance(email, str) or "@" not in email or ".." in email:
        raise Invalid(f"{email} is not a valid email address.", pointer="/data/attributes/email")
    if set(attributes) - {"email"}:
        raise Invalid("The simulator takes nothing but the address.", pointer="/data/attributes")
    if other := seen.account.torn.get(email.lower()):
        raise Duplicate(other)
    person = seen.account.find_person(email)
    status = 200 if person else 201
    if person is None:
        person = seen.account.add_person(email)
        seen.account.writes["profiles_created"] += 1
    _patch(seen, person)
    return status, {"data": _document(seen, person)}


def create_event(seen: Seen) -> Answer:
    """Accepted without an answer; the first event of a metric's name makes the metric."""
    attributes = resource(seen.body, "event")
    metric = _linked(attributes, "metric").get("attributes", {}).get("name")
    if not isinstance(metric, str) or not 0 < len(metric) < _LONGEST:
        raise Invalid("A metric has a name of fewer than 128 characters.", pointer="/data/attributes/metric")
    if not isinstance(attributes.get("properties"), dict):
        raise Invalid("An event has properties.", pointer="/data/attributes/properties")
    at = datetime.fromisoformat(attributes["time"]).timestamp() if attributes.get("time") else seen.now
    person = _whose(seen, _linked(attributes, "profile"))
    unique_id = attributes.get("unique_id") or str(int(at))
    quiet = bool(attributes.get("backfill"))
    seen.account.record(Event(metric, person.id, unique_id, at, attributes["properties"], quiet))
    return 202, None


def subscribe_profiles(seen: Seen) -> Answer:
    """Grants consent, as the real one does: so that a client that should never call this is found out."""
    profiles = resource(seen.body, "profile-subscription-bulk-create-job").get("profiles")
    rows = profiles.get("data") if isinstance(profiles, dict) else None
    if not isinstance(rows, list) or not rows:
        raise Invalid("There are no profiles.", pointer="/data/attributes/profiles")
    for row in rows:
        email = row["attributes"]["email"]
        seen.account.subscribe(seen.account.find_person(email) or seen.account.add_person(email))
    return 202, None


def metrics(seen: Seen) -> Answer:
    by_id = {metric_id: name for name, metric_id in seen.account.metrics.items()}

    def render(each: str) -> Document:
        return seen.documents.metric(by_id[each], each)

    return 200, seen.collection(lambda: list(by_id), render, default=200, largest=200)


def metric_flows(seen: Seen) -> Answer:
    name = next((name for name, metric_id in seen.account.metrics.items() if metric_id == seen.key), None)
    if name is None:
        raise Missing(f"A metric with id {seen.key} does not exist.")
    flows = [seen.documents.flow(flow) for flow in seen.account.flows.values() if flow.metric == name]
    return 200, seen.documents.collection(flows, seen.url, None)


def _linked(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    link = attributes.get(name)
    data = link.get("data") if isinstance(link, dict) else None
    if not isinstance(data, dict) or data.get("type") != name:
        raise Invalid(f"An event has a {name}.", pointer=f"/data/attributes/{name}")
    return data


def _whose(seen: Seen, data: Mapping[str, Any]) -> Person:
    """By id, or by address, which makes a profile where there is none."""
    if data.get("id"):
        if data["id"] not in seen.account.people:
            raise Missing(f"A profile with id {data['id']} does not exist.")
        return seen.account.people[data["id"]]
    email = data.get("attributes", {}).get("email")
    if not isinstance(email, str):
        raise Invalid("The profile has no identifier.", pointer="/data/attributes/profile")
    return seen.account.find_person(email) or seen.account.add_person(email)


def _patch(seen: Seen, person: Person) -> None:
    patch = (seen.body["data"].get("meta") or {}).get("patch_properties") or {}
    append, unappend = ({name: list(_several(its)) for name, its in (patch.get(verb) or {}).items()} for verb in _VERBS)
    if any(value is None for its in (append, unappend) for values in its.values() for value in values):
        raise Invalid("Simple values only.", pointer="/data/meta/patch_properties")
    seen.account.patch(person, append, unappend)


_VERBS = ("append", "unappend")


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _document(seen: Seen, person: Person) -> Document:
    extra = one_of(seen.query, "additional-fields[profile]", ["subscriptions", "predictive_analytics"])
    return seen.documents.person(person, subscriptions="subscriptions" in extra)
