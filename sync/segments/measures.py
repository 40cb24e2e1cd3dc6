"""What a person is measured against: the figures of the store behind an attribute, and where their limits lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.money import to_text as money_text
from sync.metrics.counting import DAY
from sync.metrics.lifecycle import AT_RISK, LAPSED, LOST_DAYS, WINBACK
from sync.segments import tree as t
from sync.segments.compile import Moment
from sync.segments.yardsticks import Values, cuts, ranked

INPUTS = {
    "recency": "last_order_date",
    "frequency": "number_of_orders",
    "monetary": "amount_spent",
}
_GROUPS = {"rfm_group": 5, "rfm_group_classic": 5, "rfm_group_klaviyo": 3}
_BY_GAP = ("lifecycle_stage", "order_gap_ratio", "expected_days_between_orders", "last_gap_ratio_before_order")


@dataclass(frozen=True, slots=True)
class Scale:
    """The cuts of a score: the value beyond which it is above k, for k = 1 to `of` - 1."""

    kind: str
    of: int

    def cut(self, k: int) -> str:
        return f"{self.kind}_cut_{k}_of_{self.of}"

    @property
    def names(self) -> list[str]:
        return [self.cut(k) for k in range(1, self.of)]


def scales(attribute: str) -> list[Scale]:
    """The scales that a score or a group of scores is read off."""
    if attribute in _GROUPS:
        return [Scale(kind, _GROUPS[attribute]) for kind in INPUTS]
    kind = attribute.removesuffix("_score")
    return [Scale(kind, 5)] if kind in INPUTS and kind != attribute else []


def behind(attribute: str) -> list[str]:
    """The figures of the store that the attribute depends on."""
    if attribute in _BY_GAP:
        return ["store_gap"]
    return [name for scale in scales(attribute) for name in scale.names]


def yardsticks_of(test: t.Condition) -> list[str]:
    """The figures and cuts that a test is measured by."""
    found = [cut.name for cut in cuts(test)]
    for node in () if isinstance(test, t.Matches) else t.walk(test):
        match node:
            case t.Figure(name):
                found.append(name)
            case t.Attribute(name) | t.Percentile(name):
                found += behind(ranked(node) or name)
            case _:
                pass
    return list(dict.fromkeys(found))


def label(name: str) -> str:
    """A yardstick in an owner's words."""
    if name.startswith("percentile("):
        return f"the cut of {name}"
    kind, _, rest = name.partition("_cut_")
    if rest:
        k, _, of = rest.partition("_of_")
        return f"the shop's {kind} cut for {int(k) + 1}" + (f" of {of}" if of != "5" else "")
    said = {
        "store_gap": "days between purchases",
        "buyers": "number of buyers",
        "purchase_day_gaps": "number of gaps between purchases",
        "order_value_p80": "order value that four of five orders stay within",
    }
    return f"the shop's {said.get(name, name.replace('_', ' '))}"


def shown_yardstick(name: str, value: float | None, at: Moment) -> str | None:
    """Its value in its own unit."""
    if value is None:
        return None
    attributes, figures = at.vocabulary.attributes, at.vocabulary.figures
    one = attributes[name[11 : name.index(")")]] if name.startswith("percentile(") else figures[name]
    if one.money:
        return money_text(round(value), at.scale)
    return f"{value:.0f}" if one.kind == "int" else f"{value:.2f}"


def sentences(test: t.Condition, row: Mapping[str, Any] | None, yardsticks: Values, at: Moment) -> Iterator[str]:
    """How the store-wide values in a test come about. `row`: the person's stored columns."""
    if row is None or isinstance(test, t.Matches):
        return
    names = list(dict.fromkeys(node.name for node in t.walk(test) if isinstance(node, t.Attribute)))
    if any(name in _BY_GAP[:3] for name in names):
        yield _gap_sentence(row, yardsticks, at, stage="lifecycle_stage" in names)
    for scale in dict.fromkeys(scale for name in names for scale in scales(name)):
        yield _score_sentence(scale, row, yardsticks, at)
    for cut in cuts(test):
        reached = shown_yardstick(cut.name, yardsticks.get(cut.name), at)
        yield f"{cut.attribute}: the cut {'above' if cut.strict else 'at'} {cut.limit:f} is at {reached or 'nobody'}"


def _gap_sentence(row: Mapping[str, Any], yardsticks: Values, at: Moment, *, stage: bool) -> str:
    expected, begun = row["expected_days_between_orders"], row["last_order_date"]
    if expected is None or begun is None:
        carts = f"; open_carts_last_30d = {row['open_carts_last_30d']}" if stage else ""
        return f"no order yet, so nothing is late{carts}"
    days = (at.now - begun) / DAY
    median, gaps = row["median_days_between_purchase_days"], max((row["purchase_days"] or 0) - 1, 0)
    own = "no gaps of their own yet" if median is None else f"own median gap {median:.1f} over {_number(gaps, 'gap')}"
    shop = yardsticks.get("store_gap")
    of_shop = "" if shop is None else f", shop's gap {shop:.1f}"
    text = (
        f"order_gap_ratio = {days / expected:.2f} (days_since_last_order {days:.1f} / "
        f"expected_days_between_orders {expected:.1f}; {own}{of_shop})"
    )
    return f"{text}, {_band(days / expected)}" if stage else text


def _band(ratio: float) -> str:
    if ratio > LAPSED:
        return f"lapsed beyond {LAPSED}, and lost from {LOST_DAYS} days on"
    if ratio > WINBACK:
        return f"winback beyond {WINBACK} up to {LAPSED}"
    if ratio > AT_RISK:
        return f"at-risk beyond {AT_RISK} up to {WINBACK}"
    return f"on time up to {AT_RISK}"


def score_of(scale: Scale, row: Mapping[str, Any], yardsticks: Values, now: int) -> int | None:
    """The score, by the cuts that are given."""
    beyond = [is_beyond(name, row, yardsticks.get(name), now) for name in scale.names]
    known = [one for one in beyond if one is not None]
    return 1 + sum(known) if len(known) == len(beyond) else None


def is_beyond(cut: str, row: Mapping[str, Any], limit: float | None, now: int) -> bool | None:
    """Whether the person's value lies beyond the cut of a score; each cut adds to the score by itself."""
    kind = cut.partition("_cut_")[0]
    own: int | None = row[INPUTS[kind]]
    if not row["number_of_orders"] or own is None or limit is None:
        return None
    return own > now - int(limit) * DAY if kind == "recency" else own > int(limit)


def _score_sentence(scale: Scale, row: Mapping[str, Any], yardsticks: Values, at: Moment) -> str:
    """`monetary_score = 4: amount_spent 812.00; 5 above 940.10, 4 above 500.00`."""
    score = score_of(scale, row, yardsticks, at.now)
    name = f"{scale.kind}_score" + (f" of {scale.of}" if scale.of != 5 else "")
    if score is None:
        return f"{name} is unknown: no order"
    side = "below" if scale.kind == "recency" else "above"
    unit = " days" if scale.kind == "recency" else ""
    limits = [
        f"{k + 1} {side} {shown_yardstick(scale.cut(k), yardsticks.get(scale.cut(k)), at)}{unit}"
        for k in (score, score - 1)
        if 1 <= k < scale.of
    ]
    own = row[INPUTS[scale.kind]]
    if scale.kind == "recency":
        shown = f"days_since_last_order {(at.now - own) / DAY:.1f}"
    elif scale.kind == "monetary":
        shown = f"amount_spent {money_text(int(own), at.scale)}"
    else:
        shown = f"number_of_orders {own}"
    return f"{name} = {score}: {shown}; {', '.join(limits)}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
