"""JSON:API documents as Klaviyo writes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connector.klaviyo.sandbox_account import Account, Failure, Flow, Import, Person, Roll

Document = dict[str, Any]


def instant(seconds: float) -> str:
    """RFC 3339 with an offset, as Klaviyo answers."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


class Documents:
    """Documents of one account under `base`, the address that clients know."""

    def __init__(self, account: Account, base: str) -> None:
        self._account = account
        self._base = base

    def resource(self, kind: str, path: str, record_id: str, attributes: Mapping[str, Any]) -> Document:
        link = f"{self._base}/api/{path}/{record_id}"
        return {"type": kind, "id": record_id, "attributes": dict(attributes), "links": {"self": link}}

    def account(self) -> Document:
        contact = {
            "default_sender_name": "Sandbox Shop",
            "default_sender_email": "shop@example.org",
            "website_url": None,
            "organization_name": "Sandbox Shop",
            "street_address": {"address1": None, "city": None, "country": None},
        }
        attributes = {
            "test_account": True,
            "contact_information": contact,
            "industry": None,
            "timezone": "Europe/Berlin",
            "preferred_currency": "EUR",
            "public_api_key": "SANDBX",
            "locale": "en-US",
        }
        return self.resource("account", "accounts", "SANDBX", attributes)

    def roll(self, roll: Roll) -> Document:
        attributes = {
            "name": roll.name,
            "created": instant(roll.created),
            "updated": instant(roll.updated),
            "opt_in_process": "double_opt_in",
        }
        return self.resource("list", "lists", roll.id, attributes)

    def flow(self, flow: Flow) -> Document:
        attributes = {
            "name": flow.name,
            "status": flow.status,
            "archived": flow.archived,
            "created": instant(flow.created),
            "updated": instant(flow.created),
            "trigger_type": "Metric" if flow.metric else "Added to List",
        }
        return self.resource("flow", "flows", flow.id, attributes)

    def metric(self, name: str, metric_id: str) -> Document:
        attributes = {"name": name, "created": None, "updated": None, "integration": None}
        return self.resource("metric", "metrics", metric_id, attributes)

    def person(self, person: Person, *, subscriptions: bool) -> Document:
        attributes: Document = {
            "email": person.email,
            "phone_number": None,
            "external_id": None,
            "created": instant(person.created),
            "updated": instant(person.updated),
            "properties": {name: list(values) for name, values in person.properties.items()},
        }
        if subscriptions:
            attributes["subscriptions"] = {"email": {"marketing": _marketing(person)}}
        return self.resource("profile", "profiles", person.id, attributes)

    def job(self, job: Import, now: float) -> Document:
        finished = job.status(now) == "complete"
        attributes = {
            "status": job.status(now),
            "created_at": instant(job.created),
            "total_count": len(job.addresses),
            "completed_count": len(job.landed),
            "failed_count": len(job.failures),
            "started_at": instant(job.starts) if now >= job.starts else None,
            "completed_at": instant(job.ends) if finished and job.ends is not None else None,
            "expires_at": instant(job.created + 7 * 86_400),
        }
        return self.resource("profile-bulk-import-job", "profile-bulk-import-jobs", job.id, attributes)

    def failure(self, job: Import, failure: Failure) -> Document:
        attributes = {
            "code": failure.code,
            "title": failure.title,
            "detail": f"{failure.title} ({failure.address})",
            "source": {"pointer": f"/data/attributes/profiles/data/{failure.index}/attributes/email"},
            "original_payload": {"email": failure.address},
        }
        return {"type": "import-error", "id": f"{job.id}-{failure.index}", "attributes": attributes}

    def collection(self, data: Sequence[Document], own: str, following: str | None) -> Document:
        links = {"self": own, "next": following, "prev": None}
        return {"data": list(data), "links": links}

    def sparse(self, resources: Iterable[Document], fields: Mapping[str, Sequence[str]]) -> None:
        """Leave of each type's attributes only those asked for."""
        for resource in resources:
            wanted = fields.get(resource["type"])
            if wanted:
                kept = {name.split(".")[0] for name in wanted}
                resource["attributes"] = {name: it for name, it in resource["attributes"].items() if name in kept}


def _marketing(person: Person) -> Document:
    return {
        "can_receive_email_marketing": not person.suppressions,
        "consent": person.consent,
        "consent_timestamp": instant(person.created) if person.consent != "NEVER_SUBSCRIBED" else None,
        "last_updated": instant(person.updated),
        "method": None,
        "method_detail": None,
        "custom_method_detail": None,
        "double_optin": None,
        "suppression": [{"reason": reason, "timestamp": instant(at)} for reason, at in person.suppressions],
        "list_suppressions": [],
    }
