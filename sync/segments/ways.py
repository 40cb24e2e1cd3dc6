"""What would turn a test, as the shop's owner would say it: `more than 49.4 days pass since the last order`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mappings.money import to_text as money_text
from sync.metrics.counting import DAY
from sync.metrics.lifecycle import AT_RISK, LAPSED, LOST_DAYS, LOYAL_ORDERS, LOYAL_QUARTERS, WINBACK
from sync.segments import tree as t
from sync.segments.compile import Moment
from sync.segments.measures import INPUTS, Scale, scales, score_of, shown_yardstick
from sync.segments.words import value as value_words
from sync.segments.words import words
from sync.segments.yardsticks import FLIPPED, Values, rank_test

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_LATE = {"at-risk": AT_RISK, "winback": WINBACK, "lapsed": LAPSED, "lost": LAPSED}
_AFTER = {"at-risk": WINBACK, "winback": LAPSED}
_ONE_MORE = "one more order is placed"
_FIRST = "a first order is placed"


class Ways:
    """Ways for one person: the stored columns (`row`) and the yardsticks of today."""

    def __init__(self, at: Moment, row: Mapping[str, Any] | None, yardsticks: Values) -> None:
        self.at = at
        self.row = row or {}
        self.yardsticks = yardsticks

    def of(self, node: t.Condition, values: Mapping[str, Any], *, wanted: bool) -> str:
        """What would have to happen for the test to become `wanted`. `values`: the person's, as they are kept."""
        match node:
            case t.Compare() if found := rank_test(node):
                cut, above = found
                return self._past_cut(cut.name, cut.attribute, up=above is wanted)
            case t.Compare(operator, left, right):
                if not isinstance(left, t.Attribute) and isinstance(right, t.Attribute):
                    operator, left, right = FLIPPED[operator], right, left
                if isinstance(left, t.Attribute):
                    return self._compare(operator if wanted else _OPPOSITE[operator], left.name, right, values)
            case t.Between(t.Attribute(name), low, high) if self._limit(name, low) is not None:
                return self._between(name, low, high, values, wanted=wanted)
            case _:
                pass
        return words(node) if wanted else f"it is no longer so that {words(node)}"

    def _compare(self, operator: str, name: str, right: t.Value, values: Mapping[str, Any]) -> str:
        equal = operator in ("=", "!=")
        if name == "lifecycle_stage" and isinstance(right, t.Text):
            return self._into_stage(right.value) if operator == "=" else self._out_of_stage(right.value)
        if scales(name) and name.startswith("rfm_"):
            return self._group(name, right, values.get(name), wanted=operator == "=")
        limit = self._limit(name, right)
        if limit is None or (equal and not _counts(name)):
            return self._named(name, operator, right, values.get(name))
        own = values.get(name)
        if equal:
            if own is not None and operator == "!=":
                return _ONE_MORE if name == "number_of_orders" else self._named(name, operator, right, own)
            operator = ">=" if own is None or own < limit else "<="
        return self._towards(name, operator, limit, own)

    def _towards(self, name: str, operator: str, limit: float, own: Any) -> str:
        """A number that must get to a limit, or beyond it. Both are in the unit in which the number is kept."""
        up, strict = operator in (">", ">="), operator in (">", "<")
        if name in ("days_since_last_order", "order_gap_ratio"):
            return self._silence(limit, of_expected=name == "order_gap_ratio") if up else self._order()
        if scales(name):
            level = math.floor(limit) + 1 if strict and up else math.ceil(limit) - 1 if strict else int(limit)
            return self._score(scales(name)[0], level, up=up)
        if own is None:
            return f"{_said(name)} is known" if self.row.get("number_of_orders") else _FIRST
        if up and _counts(name) and name != "purchase_days":
            more = math.floor(limit) + 1 - own if strict else math.ceil(limit) - own
            days = name.removeprefix("orders_last_").removesuffix("d") if name != "number_of_orders" else ""
            span = f" within {days} days" if days else ""
            placed = f"{more} more order{'s are' if more != 1 else ' is'} placed{span}"
            return f"{placed} ({own} now)" if more != 1 or days else f"{_ONE_MORE} ({own} now)"
        moves = ("rises above" if strict else "reaches") if up else ("falls below" if strict else "falls to")
        away = f", {self._shown(name, abs(limit - own))} away" if limit != own else ""
        return f"{_said(name)} {moves} {self._shown(name, limit)} ({self._shown(name, own)} now{away})"

    def _order(self) -> str:
        return _ONE_MORE if self.row.get("last_order_date") is not None else _FIRST

    def _silence(self, limit: float, *, of_expected: bool) -> str:
        """No order for long: in days, also where the limit is a multiple of what was expected."""
        begun, expected = self.row.get("last_order_date"), self.row.get("expected_days_between_orders")
        if begun is None or (of_expected and expected is None):
            return f"{_FIRST}, and none for long after it"
        days = limit * expected if of_expected and expected is not None else limit
        why = f"{limit:.10g} × the expected {expected:.1f}; " if of_expected else ""
        return f"more than {days:.1f} days pass since the last order ({why}{(self.at.now - begun) / DAY:.1f} now)"

    def _out_of_stage(self, stage: str) -> str:
        """From late stages an order leads out, from the others time or what leads up."""
        match stage:
            case "aware":
                return f"{_FIRST}, or a cart is left open"
            case "consideration":
                return f"{_FIRST}, or no open cart is younger than 30 days"
            case "new":
                return f"a second order is placed, or {self._silence(AT_RISK, of_expected=True)}"
            case "active":
                return f"{self._to_loyal()}, or {self._silence(AT_RISK, of_expected=True)}"
            case "loyal":
                return self._silence(AT_RISK, of_expected=True)
            case "lapsed":
                return f"{_ONE_MORE}, or {self._silence(LOST_DAYS, of_expected=False)}"
            case "lost":
                return _ONE_MORE
            case _:
                return f"{_ONE_MORE}, or {self._silence(_AFTER[stage], of_expected=True)}"

    def _into_stage(self, stage: str) -> str:
        begun, expected = self.row.get("last_order_date"), self.row.get("expected_days_between_orders")
        orders = self.row.get("number_of_orders") or 0
        if stage in ("aware", "consideration"):
            carts = "a cart is left open" if stage == "consideration" else "no open cart is younger than 30 days"
            return carts if not orders else f"there is no order any more ({orders} now)"
        if begun is None or expected is None:
            return _FIRST
        days = (self.at.now - begun) / DAY
        if stage in _LATE:
            waits = max(_LATE[stage] * expected, LOST_DAYS if stage == "lost" else 0)
            silence = f"more than {waits:.1f} days pass since the last order"
            if days <= waits or stage == "lost":
                return f"{silence} ({days:.1f} now)"
            return f"{_ONE_MORE}, and then {silence}"
        late = f"{_ONE_MORE}, which ends the silence" if days > AT_RISK * expected else ""
        if stage == "loyal":
            return self._to_loyal() if orders < LOYAL_ORDERS or not late else late
        if stage == "active":
            return "a second order is placed" if orders == 1 else late or "they no longer count as loyal"
        return f"only one order counts ({orders} now)" if orders > 1 else late or "the one order counts as on time"

    def _to_loyal(self) -> str:
        orders, quarters = self.row.get("number_of_orders") or 0, self.row.get("active_quarters") or 0
        if orders < LOYAL_ORDERS:
            more = LOYAL_ORDERS - orders
            placed = "one more order is" if more == 1 else f"{more} more orders are"
            return f"{placed} placed on time" + (", in another quarter" if quarters < LOYAL_QUARTERS else "")
        return "an order is placed in another quarter"

    def _group(self, name: str, right: t.Value, own: Any, *, wanted: bool) -> str:
        made = [
            f"{scale.kind} {score_of(scale, self.row, self.yardsticks, self.at.now) if self.row else None}"
            for scale in scales(name)
        ]
        if own in (None, "PROSPECTS"):
            return _FIRST
        now = f"{', '.join(made)} now make {own}"
        if wanted:
            return f"the scores make {value_words(right)} ({now})"
        return f"one of the scores changes enough ({now})"

    def _score(self, scale: Scale, level: int, *, up: bool) -> str:
        """`level` is the score to reach, from below or from above."""
        own = self.row.get(INPUTS[scale.kind])
        if own is None or not self.row.get("number_of_orders"):
            return _FIRST
        k = level - 1 if up else level
        if not 1 <= k < scale.of:
            return f"the {scale.kind} score is {'at least' if up else 'at most'} {level}, which it cannot become"
        cut = self.yardsticks.get(scale.cut(k))
        if cut is None:
            return f"the shop has a {scale.kind} cut for {k + 1}"
        if scale.kind == "recency":
            return (
                _ONE_MORE if up else f"{cut:.0f} days pass since the last order ({(self.at.now - own) / DAY:.1f} now)"
            )
        name = INPUTS[scale.kind]
        shown = shown_yardstick(scale.cut(k), cut, self.at)
        if up:
            return f"{_said(name)} rises above {shown} ({self._shown(name, own)} now)"
        return f"the shop's cut for {k + 1} ({shown}) reaches their {self._shown(name, own)}"

    def _past_cut(self, cut_name: str, name: str, *, up: bool) -> str:
        own, cut = self.row.get(name), self.yardsticks.get(cut_name)
        if not self.row.get("number_of_orders"):
            return _FIRST
        shown = "what nobody has reached yet" if cut is None else self._shown(name, cut)
        now = "" if own is None else f" ({self._shown(name, own)} now)"
        return f"{_said(name)} reaches the cut of {shown}{now}" if up else f"the cut of {shown} passes them{now}"

    def _between(self, name: str, low: t.Value, high: t.Value, values: Mapping[str, Any], *, wanted: bool) -> str:
        least, most, own = self._limit(name, low), self._limit(name, high), values.get(name)
        if least is None or most is None or own is None:
            return self._towards(name, ">=", least or 0, own)
        if not wanted:
            return self._towards(name, ">", most, own)
        return self._towards(name, ">=", least, own) if own < least else self._towards(name, "<=", most, own)

    def _named(self, name: str, operator: str, right: t.Value, own: Any) -> str:
        becomes = "is no longer" if operator == "!=" else "becomes" if operator == "=" else ""
        if not becomes:
            return words(t.Compare(operator, t.Attribute(name), right))
        now = "not known" if own is None else f"'{own}'" if isinstance(own, str) else self._shown(name, own)
        return f"{_said(name)} {becomes} {value_words(right)}" + (f" ({now} now)" if becomes == "becomes" else "")

    def _limit(self, name: str, node: t.Value) -> float | None:
        """The number on the other side, in the unit in which the attribute is kept."""
        one = self.at.vocabulary.attributes[name]
        if isinstance(node, t.Figure):
            return self.yardsticks.get(node.name)
        constant = t.constant(node)
        if constant is None or one.kind not in ("int", "float", "money"):
            return None
        return float(constant.scaleb(self.at.scale)) if one.money else float(constant)

    def _shown(self, name: str, value: float) -> str:
        one = self.at.vocabulary.attributes[name]
        if one.money:
            return money_text(round(value), self.at.scale)
        return f"{value:.0f}" if one.kind == "int" else f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"


def _said(name: str) -> str:
    return name.replace("_", " ")


def _counts(name: str) -> bool:
    return name in ("number_of_orders", "purchase_days") or name.startswith("orders_last_")
