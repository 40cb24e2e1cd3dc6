"""A contact as Wix keeps it, and as versions 4 and 5 of the API show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from connector.sandbox.records import Cart, Customer, Order, guid
from connector.wix.sandbox_filter import Values
from connector.wix.sandbox_index import Entry

STORES_APP = "215238eb-22a5-4c36-9e7b-e7c08025e04e"
CONSENT = {"SUBSCRIBED": "SUBSCRIBED", "UNSUBSCRIBED": "UNSUBSCRIBED", "PENDING": "PENDING"}
BUYER_LABEL = "contacts.customers"
TEMPLATES = ("CONTACT_CREATED", "ECOM_PURCHASE", "ECOM_CART_ABANDON", "GENERAL", "NEWSLETTER_SUBSCRIPTION_SUBSCRIBE",
             "NEWSLETTER_SUBSCRIPTION_UNSUBSCRIBE")  # fmt: skip


@dataclass(slots=True)
class State:
    """What Wix knows of a contact beyond the world: its revision, its labels, when either moved."""

    revision: int = 1
    updated: int = 0
    labels: dict[str, None] = field(default_factory=dict)
    by_tag: set[str] = field(default_factory=set)


class Activity(NamedTuple):
    """The latest thing somebody did."""

    at: int
    kind: str

    @property
    def template(self) -> str:
        return template_id(self.kind)


class Contact(NamedTuple):
    """A contact at one moment; later changes do not show in it."""

    number: int
    id: str
    revision: int
    created: int
    updated: int
    email: str | None
    consent: str
    deliverability: str
    consent_at: int | None
    first: str | None
    last: str | None
    phone: str | None
    language: str
    country: str | None
    region: str | None
    city: str | None
    postcode: str | None
    member: bool
    labels: tuple[str, ...]
    activity: Activity


def stamp(at: float) -> str:
    """A date as Wix writes it."""
    return _stamp(int(at * 1000))


@lru_cache(maxsize=65_536)
def _stamp(thousandths: int) -> str:
    moment = datetime.fromtimestamp(thousandths // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{thousandths % 1000:03d}Z"


def template_id(kind: str) -> str:
    """The id of the activity template of this kind."""
    return guid("template", TEMPLATES.index(kind))


def consent_of(customer: Customer) -> tuple[str, str]:
    """Subscription and deliverability of the address; what Shopify calls INVALID is an address that bounces."""
    if not customer.email:
        return "NOT_SET", "NOT_SET"
    status = CONSENT.get(customer.email_consent, "NOT_SET")
    return status, "BOUNCED" if customer.email_consent == "INVALID" else "VALID"


def activities(
    customer: Customer, orders: Iterable[Order], carts: Iterable[Cart], visits: Iterable[int]
) -> list[Activity]:
    """What Wix would have noted of somebody."""
    found = [Activity(customer.created_at, "CONTACT_CREATED")]
    found += [Activity(order.created_at, "ECOM_PURCHASE") for order in orders if not order.test]
    found += [Activity(cart.created_at, "ECOM_CART_ABANDON") for cart in carts]
    found += [Activity(at, "GENERAL") for at in visits]
    if customer.email_consent_at is not None and customer.email_consent in ("SUBSCRIBED", "UNSUBSCRIBED"):
        ending = "SUBSCRIBE" if customer.email_consent == "SUBSCRIBED" else "UNSUBSCRIBE"
        found.append(Activity(customer.email_consent_at, f"NEWSLETTER_SUBSCRIPTION_{ending}"))
    return found


def snapshot(customer: Customer, state: State, activity: Activity) -> Contact:
    """The contact as it is now."""
    consent, deliverability = consent_of(customer)
    return Contact(
        number=customer.number,
        id=customer.guid,
        revision=state.revision,
        created=customer.created_at,
        updated=max(customer.updated_at, state.updated),
        email=customer.email,
        consent=consent,
        deliverability=deliverability,
        consent_at=customer.email_consent_at,
        first=customer.first_name,
        last=customer.last_name,
        phone=customer.phone,
        language=customer.language,
        country=customer.country,
        region=customer.region,
        city=customer.city,
        postcode=customer.zip,
        member=customer.account == "ENABLED",
        labels=tuple(state.labels),
        activity=activity,
    )


def entry(contact: Contact) -> Entry:
    """What a contact is found by, under the names of both versions."""
    return Entry(_values(contact), contact)


def _values(contact: Contact) -> Values:
    member = guid("member", contact.number) if contact.member else None
    return {
        "id": contact.id,
        "createdDate": contact.created,
        "updatedDate": contact.updated,
        "lastActivity.activityDate": contact.activity.at,
        "lastActivity.date": contact.activity.at,
        "primaryInfo.email": contact.email,
        "primaryInfo.phone": contact.phone,
        "primaryEmail.email": contact.email,
        "primaryEmail.subscriptionStatus": contact.consent,
        "primaryEmail.deliverabilityStatus": contact.deliverability,
        "email.email": contact.email,
        "email.subscriptionStatus.status": contact.consent,
        "email.deliverabilityStatus": contact.deliverability,
        "primaryPhone.phone": contact.phone,
        "phone.phone": contact.phone,
        "info.name.first": contact.first,
        "info.name.last": contact.last,
        "name.first": contact.first,
        "name.last": contact.last,
        "info.locale": contact.language,
        "info.emails.email": contact.email,
        "info.addresses.country": contact.country,
        "info.addresses.subdivision": _subdivision(contact),
        "info.addresses.city": contact.city,
        "info.labelKeys": contact.labels,
        "info.extendedFields.emailSubscriptions.subscriptionStatus": contact.consent,
        "memberInfo.memberId": member,
        "source.appId": STORES_APP,
    }


def _subdivision(contact: Contact) -> str | None:
    return f"{contact.country}-{contact.region}" if contact.country and contact.region else None


def show_v4(contact: Contact, fieldsets: Sequence[str] = ("FULL",)) -> dict[str, Any]:
    """The contact of version 4. Only the fieldset FULL is complete; BASIC has neither labels nor `primaryEmail`."""
    full = "FULL" in fieldsets or not fieldsets
    shown: dict[str, Any] = {
        "id": contact.id,
        "revision": contact.revision,
        "source": {"sourceType": "WIX_STORES", "appId": STORES_APP},
        "createdDate": stamp(contact.created),
        "updatedDate": stamp(contact.updated),
        "lastActivity": {"activityDate": stamp(contact.activity.at), "activityType": contact.activity.kind},
    }
    primary = _given(email=contact.email, phone=contact.phone)
    if primary:
        shown["primaryInfo"] = primary
    if contact.email and (full or "COMMUNICATION_DETAILS" in fieldsets):
        shown["primaryEmail"] = {
            "email": contact.email,
            "subscriptionStatus": contact.consent,
            "deliverabilityStatus": contact.deliverability,
        }
    if contact.phone and (full or "COMMUNICATION_DETAILS" in fieldsets):
        shown["primaryPhone"] = {"phone": contact.phone, "subscriptionStatus": "NO_SUBSCRIPTION_STATUS"}
    info = _info(contact, full, full or "EXTENDED" in fieldsets)
    return {**shown, "info": info} if info else shown


def _info(contact: Contact, full: bool, extended: bool) -> dict[str, Any]:
    info: dict[str, Any] = {}
    if name := _given(first=contact.first, last=contact.last):
        info["name"] = name
    if contact.email:
        item = {"id": guid("email", contact.number), "tag": "UNTAGGED", "email": contact.email, "primary": True}
        info["emails"] = {"items": [item]}
    if contact.phone:
        item = {"id": guid("phone", contact.number), "tag": "UNTAGGED", "phone": contact.phone, "primary": True}
        info["phones"] = {"items": [item]}
    if not full:
        return info
    if address := _address(contact):
        info["addresses"] = {"items": [{"id": guid("address", contact.number), "tag": "SHIPPING", "address": address}]}
    info["locale"] = contact.language
    if contact.labels:
        info["labelKeys"] = {"items": list(contact.labels)}
    if contact.email and extended:
        info["extendedFields"] = {
            "items": {
                "emailSubscriptions.subscriptionStatus": contact.consent,
                "emailSubscriptions.deliverabilityStatus": contact.deliverability,
            }
        }
    return info


def show_v5(contact: Contact) -> dict[str, Any]:
    """The contact of version 5: flat, without labels, its revision a string."""
    shown: dict[str, Any] = {
        "id": contact.id,
        "revision": str(contact.revision),
        "createdDate": stamp(contact.created),
        "updatedDate": stamp(contact.updated),
        "locale": contact.language,
        "source": {"appId": STORES_APP},
        "lastActivity": {"date": stamp(contact.activity.at), "templateId": contact.activity.template},
    }
    if name := _given(first=contact.first, last=contact.last):
        shown["name"] = name
    if contact.email:
        status: dict[str, Any] = {"status": contact.consent}
        if contact.consent_at is not None:
            status["updatedDate"] = stamp(contact.consent_at)
        shown["email"] = {
            "email": contact.email,
            "subscriptionStatus": status,
            "deliverabilityStatus": contact.deliverability,
        }
    if contact.phone:
        shown["phone"] = {"tag": "MAIN", "phone": contact.phone}
    if address := _address(contact):
        shown["addresses"] = [{"id": guid("address", contact.number), "tag": "SHIPPING", "address": address}]
    if contact.member:
        shown["memberInfo"] = {
            "memberId": guid("member", contact.number),
            "status": "ACTIVE",
            "signupDate": stamp(contact.created),
        }
    return shown


def _address(contact: Contact) -> Mapping[str, Any]:
    return _given(
        country=contact.country, subdivision=_subdivision(contact), city=contact.city, postalCode=contact.postcode
    )


def _given(**fields: Any) -> dict[str, Any]:
    """Wix leaves out what is empty."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
