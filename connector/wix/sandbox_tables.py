"""Which fields each endpoint filters and sorts by, and with which operators: the vendor's tables as data.

Types of the public JS SDK and the tables of dev.wix.com; a test holds them against the request schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.wix.sandbox_filter import Field, Fields, Kind
from connector.wix.sandbox_index import Sort

_EQUAL = "$eq $ne $in $nin"
_RANGE = "$lt $lte $gt $gte"
_DATE = f"$eq $ne $exists $in $any {_RANGE}"
_TEXT = f"{_DATE} $startsWith $begins"
_FLAG = "$eq $ne $exists $in"
_LIST = "$hasSome $hasAll"

BOTH = frozenset({"ASC", "DESC"})
UP = frozenset({"ASC"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A list that can be asked for: what of, filtered and sorted by what, how many at once."""

    operation: str
    kind: str
    fields: Fields
    sorts: Mapping[str, frozenset[str]]
    default: tuple[Sort, ...]
    limit: int
    largest: int
    most_sorts: int


def _fields(*rows: tuple[Kind, str, str]) -> dict[str, Field]:
    return {
        name: Field(kind, frozenset(operators.split())) for kind, operators, names in rows for name in names.split()
    }


def _both(names: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(names.split(), BOTH)


# fmt: off
ORDERS = Endpoint(
    "SearchOrders",
    "order",
    _fields(
        ("date", _DATE, "createdDate updatedDate purchasedDate"),
        ("amount", _TEXT, """balanceSummary.authorized.amount balanceSummary.pending.amount
            balanceSummary.pendingRefund.amount priceSummary.total.amount taxInfo.totalExempt.amount
            taxInfo.totalTax.amount"""),
        ("text", _TEXT, """billingInfo.contactDetails.firstName billingInfo.contactDetails.lastName
            businessLocation.id businessLocation.name buyerInfo.email number shippingInfo.logistics.deliveryTime
            shippingInfo.logistics.deliveryTimeSlot.from shippingInfo.logistics.deliveryTimeSlot.to"""),
        ("text", _EQUAL, """channelInfo.type fulfillmentStatus paymentStatus shippingInfo.region.name
            shippingInfo.title status"""),
        ("text", _EQUAL, """id buyerInfo.contactId buyerInfo.memberId channelInfo.externalOrderId checkoutId
            createdBy.userId lineItems.subscriptionInfo.id"""),
        ("bool", _FLAG, "archived imported seenByAHuman demo"),
        ("list", _LIST, """lineItems.catalogReference.appId lineItems.catalogReference.catalogItemId
            lineItems.locations.id fulfillmentStatusesAggregate.statuses lineItems.productName.original
            appliedDiscounts.coupon.id"""),
    ),
    _both("""channelInfo.type fulfillmentStatus paymentStatus shippingInfo.region.name shippingInfo.title status
        createdDate updatedDate purchasedDate balanceSummary.authorized.amount balanceSummary.pending.amount
        balanceSummary.pendingRefund.amount billingInfo.contactDetails.firstName billingInfo.contactDetails.lastName
        businessLocation.id businessLocation.name buyerInfo.email number priceSummary.total.amount
        shippingInfo.logistics.deliveryTime shippingInfo.logistics.deliveryTimeSlot.from
        shippingInfo.logistics.deliveryTimeSlot.to taxInfo.totalExempt.amount taxInfo.totalTax.amount
        fulfillmentStatusesAggregate.statuses lineItems.productName.original"""),
    default=(Sort("createdDate", down=True),), limit=100, largest=100, most_sorts=4,
)

CHECKOUT_QUERY = Endpoint(
    "QueryAbandonedCheckouts",
    "cart",
    _fields(
        ("date", _DATE, "createdDate updatedDate"),
        ("text", _TEXT, """id buyerInfo.contactId buyerInfo.email buyerInfo.memberId buyerInfo.userId
            buyerInfo.visitorId"""),
        ("text", "$eq $ne $in $exists", "status"),
    ),
    _both("""createdDate id updatedDate buyerInfo.contactId buyerInfo.email buyerInfo.memberId buyerInfo.userId
        buyerInfo.visitorId status"""),
    default=(Sort("createdDate", down=True),), limit=100, largest=100, most_sorts=10,
)

CHECKOUT_SEARCH = Endpoint(
    "SearchAbandonedCheckouts",
    "cart",
    _fields(
        ("list", _LIST, "activities.type appliedDiscounts.coupon.code"),
        ("text", _TEXT, "contactDetails.firstName contactDetails.lastName"),
        ("date", _DATE, "createdDate updatedDate"),
        ("text", _EQUAL, """id buyerInfo.contactId buyerInfo.email buyerInfo.memberId buyerInfo.userId
            buyerInfo.visitorId status"""),
    ),
    _both("createdDate updatedDate"),
    default=(Sort("createdDate", down=True),), limit=100, largest=100, most_sorts=4,
)

CONTACTS_V4 = Endpoint(
    "QueryContacts",
    "contact",
    _fields(
        ("text", "$eq $ne $in $exists", "id info.locale info.addresses.subdivision info.addresses.country"),
        ("date", "$eq $ne $gt $gte $lt $lte", "createdDate updatedDate lastActivity.activityDate info.birthdate"),
        ("text", "$eq $ne $in $exists $startsWith", """primaryInfo.email primaryInfo.phone primaryEmail.email
            primaryPhone.phone primaryPhone.e164Phone primaryPhone.formattedPhone primaryPhone.countryCode
            info.name.first info.name.last info.emails.email info.phones.phone info.phones.e164Phone
            info.addresses.street info.addresses.city info.company info.jobTitle"""),
        ("text", _EQUAL, """primaryEmail.subscriptionStatus primaryEmail.deliverabilityStatus
            primaryPhone.subscriptionStatus"""),
        ("list", _LIST, "info.labelKeys info.locations"),
        ("text", f"{_TEXT} $nin", "info.extendedFields.*"),
    ),
    _both("""createdDate lastActivity.activityDate primaryInfo.email primaryEmail.email primaryPhone.formattedPhone
        primaryPhone.countryCode info.name.first info.name.last info.company info.jobTitle info.birthdate"""),
    default=(Sort("createdDate", down=True),), limit=50, largest=1000, most_sorts=1,
)

CONTACTS_V5 = Endpoint(
    "QueryContactsV5",
    "contact",
    _fields(
        ("text", "$eq $in", "id"),
        ("date", "$eq $gt $gte $lt $lte", "createdDate updatedDate"),
        ("text", "$eq $exists $in", "email.email externalId phone.phone"),
    ),
    {"createdDate": UP, "updatedDate": UP},
    default=(Sort("createdDate"),), limit=50, largest=100, most_sorts=5,
)

CONTACTS_V5_SEARCH = Endpoint(
    "SearchContactsV5",
    "contact",
    {
        **CONTACTS_V5.fields,
        **_fields(
            ("date", _DATE, "lastActivity.date memberInfo.sessionInfo.lastWebLogin memberInfo.signupDate"),
            ("text", f"{_EQUAL} $exists", "email.subscriptionStatus.status email.deliverabilityStatus source.appId"),
            ("text", f"{_EQUAL} $exists $startsWith", "name.first name.last"),
            ("list", _LIST, "segmentIds tags.privateTags.tagIds"),
        ),
    },
    _both("createdDate updatedDate lastActivity.date"),
    default=(Sort("createdDate", down=True),), limit=50, largest=100, most_sorts=5,
)
# fmt: on
