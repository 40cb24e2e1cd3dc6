"""Reading the catalogue: each product with the name of its main (or first) category or collection.

Renaming a category moves no product's change date. Version 3 dates its categories, so that all products are read again
when one of them changed, and a product is dated by the latest change of a category where that is later than its own: so
the mark comes past it, and the next run asks for what changed since. Version 1 dates no collections: there a new name
arrives with the product's next change. Products that the owner hides are read where the key may manage products; other
keys see those on sale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from connector.base import Cursor, Page
from connector.errors import BadReply, ScopeError
from connector.wix import wire_catalogue as wire
from connector.wix.connection import Connection
from connector.wix.contacts import chunks
from connector.wix.judge import PLATFORM, Refused
from connector.wix.limits import limits
from connector.wix.walk import Meter, by_cursor
from connector.wix.wire import after, epoch, mapping, records, text

_HIDDEN = "hidden products"
_CHANGED = "categories changed"


class Products:
    """Products of a site. Raises ScopeError where the key may not see them or the site has no store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Products that changed after the mark."""
        meter = Meter(self._connection)
        with _withheld():
            version = self._version()
            if version == wire.V3:
                yield from self._pages_v3(since, meter)
            elif version == wire.V1:
                yield from self._pages_v1(since, meter)
            else:
                raise ScopeError(PLATFORM, "GetCatalogVersion", f"the site has no Wix Stores catalogue ({version})")

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These products."""
        meter = Meter(self._connection)
        with _withheld():
            for chunk in chunks(ids, limits().pages.products):
                v3 = self._version() == wire.V3
                if v3:
                    body = self._connection.read(wire.products_v3(wire.ids(chunk), None))
                else:
                    body = self._page_v1(wire.ids(chunk), None)
                found = records(body, "products")
                names = self._categories() if v3 else self._collections()
                yield Page(_dated(_named(found, names), self._changed()), None, meter.lap())

    def _version(self) -> str:
        known = self._connection.learnt.get("catalogue")
        if known is None:
            body = self._connection.read(wire.version())
            known = self._connection.learnt["catalogue"] = str(body.get("catalogVersion"))
        return str(known)

    def _pages_v3(self, since: Cursor, meter: Meter) -> Iterator[Page]:
        names = self._categories()
        mark = since.high_water
        moved = mark is not None and int(epoch(self._changed()) or 0) > mark
        matching = {} if mark is None or moved else {"updatedDate": {"$gte": after(mark)}}
        walk = by_cursor(
            self._connection, lambda cursor: wire.products_v3(matching, cursor), "products", "pagingMetadata"
        )
        for number, leaf in enumerate(walk):
            found = _dated(_named(leaf.items, names), self._changed())
            yield Page(found, str(number) if leaf.more else None, meter.lap())

    def _pages_v1(self, since: Cursor, meter: Meter) -> Iterator[Page]:
        matching = {} if since.high_water is None else {"lastUpdated": {"$gte": after(since.high_water)}}
        token = since.page_token or ""
        last = int(token) if token.isdecimal() else None
        more = True
        while more:
            body = self._page_v1(matching, last)
            found = records(body, "products")
            more = bool(found) and _more(body, len(found), len(found), limits().pages.products)
            before, last = last, max((int(each.get("numericId") or 0) for each in found), default=last)
            if more and last == before:
                raise BadReply(PLATFORM, "QueryProductsV1", "paging runs in a circle; stopped, run again to begin anew")
            names = self._collections() if found else {}
            yield Page(_named(found, names), str(last) if more else None, meter.lap())

    def _page_v1(self, matching: Mapping[str, Any], after: int | None) -> dict[str, Any]:
        """Hidden products too, where the key may see them: what is hidden now was sold before."""
        if self._connection.learnt.get(_HIDDEN) is not False:
            try:
                return self._connection.read(wire.products_v1(matching, after, hidden=True))
            except ScopeError as error:
                self._connection.learnt[_HIDDEN] = False
                self._connection.missing[_HIDDEN] = str(error)
        return self._connection.read(wire.products_v1(matching, after))

    def _categories(self) -> Mapping[str, str]:
        """Names by id."""
        known: dict[str, str] | None = self._connection.learnt.get("categories")
        if known is None:
            known, changed = {}, dict[float, str]()
            for leaf in by_cursor(self._connection, wire.categories, "categories", "pagingMetadata"):
                known |= _names(leaf.items)
                dates = [at for each in leaf.items if (at := text(each.get("updatedDate")))]
                changed |= {epoch(at) or 0.0: at for at in dates}
            self._connection.learnt |= {"categories": known, _CHANGED: changed[max(changed)] if changed else None}
        return known

    def _changed(self) -> str | None:
        """When one of the categories changed last; None where they have no dates."""
        return text(self._connection.learnt.get(_CHANGED))

    def _collections(self) -> Mapping[str, str]:
        known: dict[str, str] | None = self._connection.learnt.get("categories")
        if known is None:
            known, offset, more = {}, 0, True
            while more:
                body = self._connection.read(wire.collections(offset))
                found = records(body, "collections")
                offset += len(found)
                known |= _names(found)
                more = bool(found) and _more(body, offset, len(found), limits().pages.categories)
            known.pop(wire.ALL_PRODUCTS, None)
            self._connection.learnt["categories"] = known
        return known


@contextmanager
def _withheld() -> Iterator[None]:
    """A catalogue that is not there is one that cannot be read: the stream is left out, and the run says so."""
    try:
        yield
    except Refused as error:
        raise ScopeError(PLATFORM, error.operation, error.text, error.request_id) from error


def _more(body: Mapping[str, Any], reached: int, count: int, limit: int) -> bool:
    total = body.get("totalResults")
    return reached < total if isinstance(total, int) else count >= limit


def _names(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(each.get("id")).lower(): name for each in found if (name := text(each.get("name")))}


def _named(found: list[dict[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """With the name of the main category, else of the first that has one."""
    for each in found:
        direct = records(mapping(each.get("directCategoriesInfo")), "categories")
        ids = [each.get("mainCategoryId"), *(one.get("id") for one in direct), *(each.get("collectionIds") or ())]
        each["ourCategory"] = next((names[one.lower()] for one in ids if text(one) and one.lower() in names), None)
    return found


def _dated(found: list[dict[str, Any]], changed: str | None) -> list[dict[str, Any]]:
    """With the date of the latest change of a category, any of them: an empty one would else stay ahead of the mark."""
    for each in found:
        each["ourCategoriesChanged"] = changed
    return found
