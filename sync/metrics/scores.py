"""Scores and groups by recency, frequency and money.

Cut-offs that vendors do not publish are reconstructions, marked as such. Sources of the names and wordings:
Shopify  https://shopify.dev/docs/api/admin-graphql/latest/enums/customerrfmgroup
Klaviyo  https://academy.klaviyo.com/en-us/quick-guides/build-impactful-retention-strategies-using-rfm-analysis
classic  https://www.rdocumentation.org/packages/rfm/versions/0.2.0/topics/rfm_segment (the R package rfm)
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, null

from sync.metrics.counting import DAY
from sync.metrics.figures import Figures
from sync.metrics.table import customer_metrics

_COLUMNS = {
    "recency": customer_metrics.c.last_order_date,
    "frequency": customer_metrics.c.number_of_orders,
    "monetary": customer_metrics.c.amount_spent,
}

_SHOPIFY = {
    5: ("NEW", "ACTIVE", "ACTIVE", "CHAMPIONS", "CHAMPIONS"),
    4: ("PROMISING", "ACTIVE", "ACTIVE", "LOYAL", "LOYAL"),
    3: ("ALMOST_LOST", "ALMOST_LOST", "NEEDS_ATTENTION", "LOYAL", "LOYAL"),
    2: ("DORMANT", "DORMANT", "AT_RISK", "AT_RISK", "PREVIOUSLY_LOYAL"),
    1: ("DORMANT", "DORMANT", "AT_RISK", "AT_RISK", "PREVIOUSLY_LOYAL"),
}
"""By recency, then by the mean of frequency and money, rounded half up, 1 to 5. A reconstruction: total, and true to
the published wording."""

_KLAVIYO = {
    "CHAMPIONS": (333,),
    "LOYAL": (332, 323, 331, 322, 233, 232, 223),
    "RECENT": (311, 312, 313, 321),
    "NEEDS_ATTENTION": (211, 212, 213, 221, 222, 231),
    "AT_RISK": (112, 113, 121, 122, 123, 131, 132, 133),
    "INACTIVE": (111,),
}
"""All 27 codes of the three scores 1 to 3. A reconstruction."""

_CLASSIC = (
    ("CHAMPIONS", (4, 5), (4, 5), (4, 5)),
    ("LOYAL", (2, 5), (3, 5), (3, 5)),
    ("POTENTIAL_LOYALIST", (3, 5), (1, 3), (1, 3)),
    ("NEW", (4, 5), (1, 1), (1, 1)),
    ("PROMISING", (3, 4), (1, 1), (1, 1)),
    ("NEEDS_ATTENTION", (2, 3), (2, 3), (2, 3)),
    ("ABOUT_TO_SLEEP", (2, 3), (1, 2), (1, 2)),
    ("AT_RISK", (1, 2), (2, 5), (2, 5)),
    ("CANT_LOSE", (1, 1), (4, 5), (4, 5)),
    ("LOST", (1, 2), (1, 2), (1, 2)),
)
"""Published ranges of recency, frequency, money, ends included. They overlap and leave gaps: the first match wins."""


def score(kind: str, scale: int, figures: Figures, now: int) -> ColumnElement[Any]:
    """1 to `scale`; NULL without orders. Recency compares whole days: fewer than v is an order after now - v days."""
    cuts = [figures[f"{kind}_cut_{k}_of_{scale}"] for k in range(1, scale)]
    if None in cuts:
        return null()
    value: ColumnElement[Any] = _COLUMNS[kind]
    limits = [now - int(cut or 0) * DAY if kind == "recency" else int(cut or 0) for cut in cuts]
    ladder = [(value > limit, place) for place, limit in reversed(list(enumerate(limits, start=2)))]
    return case((customer_metrics.c.number_of_orders > 0, case(*ladder, else_=1)))


def shopify_group(r: ColumnElement[Any], f: ColumnElement[Any], m: ColumnElement[Any]) -> ColumnElement[Any]:
    """Eleven groups; who has no orders is a prospect."""
    cells = {r_ * 10 + fm: name for r_, row in _SHOPIFY.items() for fm, name in enumerate(row, start=1)}
    return case((r.is_(None), "PROSPECTS"), else_=case(cells, value=r * 10 + (f + m + 1) // 2))


def klaviyo_group(r: ColumnElement[Any], f: ColumnElement[Any], m: ColumnElement[Any]) -> ColumnElement[Any]:
    """Six groups over scores 1 to 3."""
    return case({code: name for name, codes in _KLAVIYO.items() for code in codes}, value=r * 100 + f * 10 + m)


def classic_group(r: ColumnElement[Any], f: ColumnElement[Any], m: ColumnElement[Any]) -> ColumnElement[Any]:
    """Ten groups, and OTHER for what the published ranges leave out."""
    ranges = ((and_(r.between(*rs), f.between(*fs), m.between(*ms)), name) for name, rs, fs, ms in _CLASSIC)
    return case((r.is_(None), null()), *ranges, else_="OTHER")
