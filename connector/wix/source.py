"""Reading a Wix site: contacts, products, orders, abandoned checkouts, and what is known of behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from connector.base import Cursor, Finding, Page, Record, Shop, Stream
from connector.errors import BadReply, ScopeError, WrongShop
from connector.wix import wire
from connector.wix.activity import EmailEvents, Events
from connector.wix.catalogue import Products
from connector.wix.connection import Connection
from connector.wix.contacts import Contacts
from connector.wix.doctor import NO_ZONE, UNSEEN, examine
from connector.wix.judge import PLATFORM, Refused
from connector.wix.orders import Carts, Orders
from connector.wix.records import PREPARE
from connector.wix.wire import mapping, text
from mappings.load import MappingError, load

ToRows = Callable[[Record], dict[str, list[tuple[Any, ...]]]]


class _Reader(Protocol):
    """What reads one stream."""

    def pages(self, since: Cursor) -> Iterator[Page]: ...

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]: ...


class WixSource:
    """A site that can be read. Records are Wix's objects, with what had to be asked for beside them (`our...`)."""

    platform = PLATFORM
    streams: tuple[Stream, ...] = wire.STREAMS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._contacts = Contacts(connection)
        self._orders = Orders(connection)
        self._readers: dict[str, _Reader] = {
            wire.CUSTOMERS.name: self._contacts,
            wire.PRODUCTS.name: Products(connection),
            wire.ORDERS.name: self._orders,
            wire.CARTS.name: Carts(connection),
            wire.EVENTS.name: Events(connection),
            wire.EMAIL_EVENTS.name: EmailEvents(connection),
        }

    def shop(self) -> Shop:
        """Name, currency and zone, asked for once. Wix does not list a key's permissions."""
        known = self._connection.learnt.get("shop")
        if not isinstance(known, Shop):
            known = self._connection.learnt["shop"] = read_shop(self._connection)
        return known

    def doctor(self) -> list[Finding]:
        """Key, permissions, and what of the site stays hidden. Raises AuthError on a refused key."""
        return examine(self._connection, read_shop)

    def pages(self, stream: Stream, since: Cursor) -> Iterator[Page]:
        """Records that changed after since.high_water's second, which was read with it; a token resumes its own range.

        Records that need a further request wait until it is full; the token remembers them.
        """
        return self._readers[stream.name].pages(since)

    def counts(self) -> Mapping[str, int]:
        """Live contacts. Wix has no cheap way to count orders."""
        contacts = self._contacts.count()
        return {} if contacts is None else {wire.CUSTOMERS.name: contacts}

    def ids(self, stream: Stream) -> Iterator[Page]:
        """Every live record as {"id": GUID}: contacts and orders."""
        match self._readers[stream.name]:
            case Contacts() | Orders() as reader:
                return reader.ids()
            case _:
                raise ValueError(f"{stream.name} cannot be swept")

    def by_ids(self, stream: Stream, ids: Sequence[str]) -> Iterator[Page]:
        """These records as they are now; ids that are gone are absent, merged ones told of in `Page.merged`."""
        return self._readers[stream.name].by_ids(ids)

    def gone(self, stream: Stream) -> Iterator[Page]:
        """Contacts in the trash bin as {"id": GUID}; of other streams Wix tells nothing."""
        return self._contacts.gone() if stream.name == wire.CUSTOMERS.name else iter(())

    def to_rows(self, stream: Stream) -> ToRows:
        """The mapping of one record; raises MappingError."""
        prepare, mapped = PREPARE[stream.name], load(PLATFORM).stream(stream.name)

        def rows(record: Record) -> dict[str, list[tuple[Any, ...]]]:
            try:
                prepared = prepare(record)
            except (AttributeError, TypeError, KeyError, ValueError) as error:
                raise MappingError(".", mapped.record_id(record), f"has an unexpected shape: {error}") from error
            return mapped(prepared)

        if stream.name != wire.CUSTOMERS.name:
            return rows

        def contact(record: Record) -> dict[str, list[tuple[Any, ...]]]:
            try:
                return rows(record)
            except MappingError as error:
                error.known = _consent(record)
                raise

        return contact

    def columns(self, stream: Stream) -> Mapping[str, tuple[str, ...]]:
        """Per table the columns that `to_rows` fills."""
        return load(PLATFORM).columns(stream.name)


def _consent(record: Record) -> dict[str, Any]:
    """Address and consent of a contact whose record does not fit as a whole; empty where they do not fit either."""
    mapped = load(PLATFORM).stream(wire.CUSTOMERS.name)
    told = {name: record[name] for name in ("primaryInfo", "primaryEmail", "ourConsent") if name in record}
    try:
        (row,) = mapped(PREPARE[wire.CUSTOMERS.name]({"id": "0", "updatedDate": wire.iso(0), **told}))["customers"]
    except (MappingError, AttributeError, TypeError, KeyError, ValueError):
        return {}
    return dict(zip(mapped.columns["customers"], row, strict=True))


def read_shop(connection: Connection) -> Shop:
    """The site as it is now. Raises BadReply where it has no currency: without one no money can be read.

    A token is for the site of the app's instance, whatever the config says: WrongShop where that is another one.
    """
    call = wire.site_properties()
    instance = _instance(connection) if connection.app else {}
    try:
        properties = mapping(connection.read(call).get("properties"))
    except (ScopeError, Refused):
        if not instance:
            raise
        properties = instance
    currency, zone = text(properties.get("paymentCurrency")), text(properties.get("timeZone"))
    if currency is None:
        raise BadReply(PLATFORM, call.operation, "the site has no payment currency; set it in Settings, Business Info")
    return Shop(
        id=connection.site_id,
        name=text(properties.get("siteDisplayName")) or text(properties.get("businessName")) or connection.site_id,
        currency=currency,
        zone=zone or "UTC",
        notes=(UNSEEN,) if zone else (UNSEEN, NO_ZONE),
    )


def _instance(connection: Connection) -> Mapping[str, Any]:
    call = wire.app_instance()
    try:
        site = mapping(connection.read(call).get("site"))
    except (ScopeError, Refused):
        return {}
    found = text(site.get("siteId"))
    if found is not None and found.lower() != connection.site_id:
        where = f"the app's instance is on site {found}, not on {connection.site_id}"
        raise WrongShop(PLATFORM, call.operation, f"{where}; check [store] site_id and REGULARS_WIX_INSTANCE_ID")
    return site
