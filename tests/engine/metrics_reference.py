"""The metrics once more, in plain Python over lists, straight from their definitions: slow, and sharing no code."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY = 86400
Value = int | float | str | None


@dataclass
class Line:
    product: int | None
    category: str | None
    brand: str | None
    quantity: int
    net: int


@dataclass
class Back:
    """Money that went back."""

    at: int
    amount: int


@dataclass
class Bought:
    """An order."""

    id: int
    owner: int | None
    at: int
    gross: int = 0
    discount: int = 0
    total: int = 0
    currency: str = "EUR"
    status: str | None = "paid"
    coupon: bool = False
    test: bool = False
    cancelled: int | None = None
    gone: int | None = None
    refunds: list[Back] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    checkout: int | None = None

    @property
    def refunded(self) -> int:
        return sum(back.amount for back in self.refunds)


@dataclass
class Basket:
    """A cart."""

    id: int
    owner: int | None
    at: int
    total: int
    currency: str = "EUR"
    completed: int | None = None
    gone: int | None = None
    checkout: int | None = None


@dataclass
class Deed:
    """Something done that is no order and no cart."""

    id: int
    owner: int | None
    at: int
    name: str


@dataclass
class Person:
    id: int
    since: int
    gone: int | None = None
    merged: int | None = None


@dataclass
class History:
    people: list[Person]
    orders: list[Bought]
    carts: list[Basket]
    deeds: list[Deed] = field(default_factory=list)


def before(history: History, now: int) -> History:
    """What the shop would have shown at `now`."""

    def past(instant: int | None) -> int | None:
        return instant if instant is not None and instant < now else None

    people = [Person(p.id, p.since, past(p.gone), p.merged) for p in history.people if p.since < now]
    orders = [
        Bought(
            o.id, o.owner, o.at, o.gross, o.discount, o.total, o.currency, o.status, o.coupon, o.test,
            past(o.cancelled), past(o.gone), [back for back in o.refunds if back.at < now], o.lines,
            o.checkout,
        )
        for o in history.orders
        if o.at < now
    ]  # fmt: skip
    carts = [
        Basket(c.id, c.owner, c.at, c.total, c.currency, past(c.completed), past(c.gone), c.checkout)
        for c in history.carts
        if c.at < now
    ]
    return History(people, orders, carts, [deed for deed in history.deeds if deed.at < now])


def counts(order: Bought, switches: dict[str, bool]) -> bool:
    """The counted order rule."""
    if order.gone is not None or order.status in {"voided", "expired", "declined", "rejected"}:
        return False
    return not (
        (order.test and not switches.get("count_test", False))
        or (order.cancelled is not None and not switches.get("count_cancelled", False))
        or (order.status == "unpaid" and not switches.get("count_unpaid", True))
        or (order.total == 0 and not switches.get("count_zero", True))
        or (0 < order.total <= order.refunded and not switches.get("count_refunded", True))
    )


def median(values: list[int]) -> float | None:
    """Mean of the middle two where there are two."""
    return float(statistics.median([Fraction(value) for value in values])) if values else None


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def local_date(instant: int, zone: ZoneInfo) -> date:
    """By adding the zone's offset at that instant to UTC."""
    offset = datetime.fromtimestamp(instant, timezone.utc).astimezone(zone).utcoffset()  # noqa: UP017
    assert offset is not None
    return (datetime(1970, 1, 1) + timedelta(seconds=instant) + offset).date()  # noqa: DTZ001


def metrics(history: History, now: int, zone: ZoneInfo, switches: dict[str, bool]) -> dict[int, dict[str, Value]]:
    """Every stored attribute of every live customer."""
    live = [p for p in history.people if p.gone is None and p.merged is None]
    found: dict[int, dict[str, Value]] = {}
    gaps: dict[int, list[int]] = {}
    bought = {o.checkout for o in history.orders if o.gone is None} - {None}
    left = [c for c in history.carts if c.completed is None and c.gone is None and c.checkout not in bought]
    for person in live:
        mine = sorted(
            (o for o in history.orders if o.owner == person.id and counts(o, switches)), key=lambda o: (o.at, o.id)
        )
        row = found[person.id] = {}
        days = sorted({local_date(o.at, zone) for o in mine})
        gaps[person.id] = [(b - a).days for a, b in pairwise(days)]
        row |= _orders(mine, days, now, zone)
        row |= _intervals(mine, days, gaps[person.id])
        row |= _lines(mine)
        row |= _carts([c for c in left if c.owner == person.id], mine, now)
        row |= _mails([deed for deed in history.deeds if deed.owner == person.id], now)
    _store(found, gaps, now)
    return found


def _orders(mine: list[Bought], days: list[date], now: int, zone: ZoneInfo) -> dict[str, Value]:
    money = [o for o in mine if o.currency == "EUR"]
    n = len(mine)

    def spent(low: int, high: int) -> int:
        return sum(
            o.total - o.refunded for o in money if now - high * DAY <= o.at and (not low or o.at < now - low * DAY)
        )

    def of(condition: list[bool]) -> float | None:
        return share(sum(condition), n)

    def placed(last: int) -> list[Bought]:
        return [o for o in mine if o.at >= now - last * DAY]

    gross, paid = sum(o.gross for o in money), sum(o.total for o in money)
    discount, refunded = sum(o.discount for o in money), sum(o.refunded for o in money)
    dates = [local_date(o.at, zone) for o in mine]
    discounted = of([o.discount > 0 for o in mine])
    return {
        "number_of_orders": n,
        "gross_amount": gross,
        "amount_discounted": discount,
        "amount_paid": paid,
        "amount_refunded": refunded,
        "amount_spent": paid - refunded,
        "average_order_value": share(paid, len(money)),
        "first_order_date": mine[0].at if mine else None,
        "last_order_date": mine[-1].at if mine else None,
        "purchase_days": len(days),
        "purchase_days_last_365d": len({local_date(o.at, zone) for o in placed(365)}),
        "active_quarters": len({(day.year, (day.month - 1) // 3) for day in dates}),
        "orders_last_30d": len(placed(30)),
        "orders_last_90d": len(placed(90)),
        "orders_last_365d": len(placed(365)),
        "spent_last_90d": spent(0, 90),
        "spent_last_365d": spent(0, 365),
        "spent_prior_90d": spent(90, 180),
        "discount_share": share(discount, gross),
        "discounted_orders_share": discounted,
        "full_price_orders_share": None if discounted is None else 1.0 - discounted,
        "coupon_orders_share": of([o.coupon for o in mine]),
        "refund_rate": share(refunded, paid),
        "refunded_orders_share": of([o.refunded > 0 for o in mine]),
        "nov_dec_orders_share": of([day.month in (11, 12) for day in dates]),
        "weekend_orders_share": of([day.weekday() >= 5 for day in dates]),
    }


def _intervals(mine: list[Bought], days: list[date], day_gaps: list[int]) -> dict[str, Value]:
    steps = [b.at - a.at for a, b in pairwise(mine)]
    middle = median(steps)
    return {
        "mean_days_between_orders": sum(steps) / len(steps) / DAY if steps else None,
        "median_days_between_orders": None if middle is None else middle / DAY,
        "mean_days_between_purchase_days": sum(day_gaps) / len(day_gaps) if day_gaps else None,
        "median_days_between_purchase_days": median(day_gaps),
    }


def _lines(mine: list[Bought]) -> dict[str, Value]:
    lines = [(line, line.net if o.currency == "EUR" else 0) for o in mine for line in o.lines]
    whole = sum(value for _, value in lines)
    row: dict[str, Value] = {
        "items_purchased": sum(line.quantity for line, _ in lines),
        "distinct_products": len({line.product for line, _ in lines} - {None}),
        "distinct_categories": len({line.category for line, _ in lines} - {None}),
        "distinct_brands": len({line.brand for line, _ in lines} - {None}),
    }
    for name in ("category", "brand"):
        values: Counter[str] = Counter()
        for line, value in lines:
            entry = getattr(line, name)
            if entry is not None:
                values[entry] += value
        best = min(values, key=lambda entry: (-values[entry], entry.encode("utf-8")), default=None)
        row[f"top_{name}"] = best
        row[f"top_{name}_share"] = None if best is None else share(values[best], whole)
    return row


def _mails(deeds: list[Deed], now: int) -> dict[str, Value]:
    times = {name: [deed.at for deed in deeds if deed.name == f"email.{name}"] for name in _MAILED}
    return {
        "last_email_open_date": max(times["opened"], default=None),
        "last_email_click_date": max(times["clicked"], default=None),
        "email_clicks_last_90d": sum(at >= now - 90 * DAY for at in times["clicked"]),
        "email_received_last_90d": sum(at >= now - 90 * DAY for at in times["received"]),
    }


_MAILED = ("opened", "clicked", "received")


def _carts(open_ones: list[Basket], mine: list[Bought], now: int) -> dict[str, Value]:
    recent = [c for c in open_ones if c.at >= now - 30 * DAY]
    return {
        "open_carts": len(open_ones),
        "open_cart_value": sum(c.total for c in open_ones if c.currency == "EUR"),
        "abandoned_checkout_date": max((c.at for c in open_ones), default=None),
        "open_carts_last_30d": len(recent),
        "open_carts_without_later_order": sum(all(o.at <= c.at for o in mine) for c in recent),
    }


def _store(found: dict[int, dict[str, Value]], gaps: dict[int, list[int]], now: int) -> None:
    every = [gap for mine in gaps.values() for gap in mine]
    store_gap = median(every) if len(every) >= 30 else 90.0
    assert store_gap is not None
    buyers = {key: row for key, row in found.items() if row["number_of_orders"]}
    for key, row in found.items():
        buyer, k = key in buyers, len(gaps[key])
        own = median(gaps[key]) or 0.0
        row["expected_days_between_orders"] = (2 * store_gap + k * own) / (2 + k) if buyer else None
        earlier = gaps[key][:-1]
        expected = (2 * store_gap + len(earlier) * (median(earlier) or 0.0)) / (2 + len(earlier))
        row["last_gap_ratio_before_order"] = gaps[key][-1] / expected if k else None
        scores = {q: _scores(key, buyers, q, now) if buyer else (None, None, None) for q in (5, 3)}
        row["recency_score"], row["frequency_score"], row["monetary_score"] = scores[5]
        row["rfm_group"] = _shopify(*scores[5])
        row["rfm_group_klaviyo"] = _klaviyo(*scores[3])
        row["rfm_group_classic"] = _classic(*scores[5])
        row["lifecycle_stage"] = _stage(row, now)


Score = int | None


def _scores(key: int, buyers: dict[int, dict[str, Value]], q: int, now: int) -> tuple[int, int, int]:
    def measures(row: dict[str, Value]) -> tuple[int, int, int]:
        last, number, spent = row["last_order_date"], row["number_of_orders"], row["amount_spent"]
        assert isinstance(last, int) and isinstance(number, int) and isinstance(spent, int)  # noqa: PT018
        return -((now - last) // DAY), number, spent

    mine = measures(buyers[key])
    worse = [sum(measures(row)[i] < mine[i] for row in buyers.values()) for i in range(3)]
    r, f, m = (min(q, 1 + math.floor(Fraction(q * w, len(buyers)))) for w in worse)
    return r, f, m


def _shopify(r: Score, f: Score, m: Score) -> str:
    if r is None or f is None or m is None:
        return "PROSPECTS"
    fm = math.floor((f + m) / 2 + 0.5)
    grid = {
        5: "Champions Champions Active Active New",
        4: "Loyal Loyal Active Active Promising",
        3: "Loyal Loyal Needs_attention Almost_lost Almost_lost",
        2: "Previously_loyal At_risk At_risk Dormant Dormant",
        1: "Previously_loyal At_risk At_risk Dormant Dormant",
    }
    return grid[r].split()[5 - fm].upper()


def _klaviyo(r: Score, f: Score, m: Score) -> str | None:
    if r is None:
        return None
    table = {
        "CHAMPIONS": "333",
        "LOYAL": "332 323 331 322 233 232 223",
        "RECENT": "311 312 313 321",
        "NEEDS_ATTENTION": "211 212 213 221 222 231",
        "AT_RISK": "112 113 121 122 123 131 132 133",
        "INACTIVE": "111",
    }
    [name] = [name for name, codes in table.items() if f"{r}{f}{m}" in codes.split()]
    return name


def _classic(r: Score, f: Score, m: Score) -> str | None:
    if r is None or f is None or m is None:
        return None
    table = (
        "CHAMPIONS 4-5 4-5 4-5;LOYAL 2-5 3-5 3-5;POTENTIAL_LOYALIST 3-5 1-3 1-3;NEW 4-5 1-1 1-1;PROMISING 3-4 1-1 1-1;"
        "NEEDS_ATTENTION 2-3 2-3 2-3;ABOUT_TO_SLEEP 2-3 1-2 1-2;AT_RISK 1-2 2-5 2-5;"
        "CANT_LOSE 1-1 4-5 4-5;LOST 1-2 1-2 1-2"
    )
    for entry in table.split(";"):
        name, *ranges = entry.split()
        if all(int(span[0]) <= score <= int(span[2]) for score, span in zip((r, f, m), ranges, strict=True)):
            return name
    return "OTHER"


def _stage(row: dict[str, Value], now: int) -> str:
    number, last, expected = row["number_of_orders"], row["last_order_date"], row["expected_days_between_orders"]
    quarters, carts = row["active_quarters"], row["open_carts_last_30d"]
    assert isinstance(number, int) and isinstance(quarters, int)  # noqa: PT018
    if not number:
        return "consideration" if carts else "aware"
    assert isinstance(last, int) and isinstance(expected, float)  # noqa: PT018
    days = (now - last) / DAY
    due = days / expected
    if due > 3:
        return "lost" if days >= 180 else "lapsed"
    if due > 2:
        return "winback"
    if due > 1.5:
        return "at-risk"
    if number >= 3 and quarters >= 2:
        return "loyal"
    return "active" if number >= 2 else "new"
