"""Reading conditions: forms that are accepted, and errors that name the place and the way out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import SegmentError
from sync.segments import tree as t
from sync.segments.language import parse
from sync.segments.problems import Origin
from sync.segments.tree import to_text
from sync.segments.words import words


def _fault(text: str, **options: object) -> list[str]:
    with pytest.raises(SegmentError) as caught:
        parse(text, **options)  # type: ignore[arg-type]
    return str(caught.value).split("\n")


def test_an_unknown_attribute_names_file_line_segment_and_the_nearest() -> None:
    """The first line says everything, then the text and a caret under the name."""
    text = "amount_spent > 3 AND number_of_order >= 3"
    origin = Origin("segments.toml", line=3, column=10, key="lapsed-vip")
    assert _fault(text, origin=origin) == [
        "segments.toml:3 segment \"lapsed-vip\": unknown attribute 'number_of_order'; did you mean 'number_of_orders'?",
        "  " + text,
        "  " + " " * 21 + "^",
    ]


def test_lines_count_from_where_the_condition_begins() -> None:
    """A fault on the third line of a condition is on the third line from its start in the file."""
    head, shown, caret = _fault("number_of_orders > 1\n  AND\n\tamount_spend > 2", file="s.toml", line=10)
    assert head.startswith("s.toml:12: unknown attribute 'amount_spend'")
    assert shown == "  \tamount_spend > 2"
    assert caret == "  \t^"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number_of_orders >", "the condition ends too early"),
        ("", "the condition is empty"),
        ("-- only a remark", "the condition ends too early"),
        ("(number_of_orders > 3", "ends too early; expected"),
        ("number_of_orders > 3)", "unexpected ')'"),
        ("1 < number_of_orders < 3", "unexpected '<'"),
        ("number_of_orders", "is a number, not a flag; compare it"),
        ("number_of_orders > '3'", "and this is a text; write a number such as 3 or 19.90"),
        ("number_of_orders > -30d", "number_of_orders is a number, and this is a date"),
        ("last_order_date > 30", "write a day such as 2026-01-31, -30d or today"),
        ("last_order_date > 30d", "a number of days back is written -30d"),
        ("last_order_date = 2026-02-30", "2026-02-30 is no day of the calendar"),
        ("top_category > 'a'", "'>' needs a number or a date, not a text"),
        ('top_category = "a"', "texts stand between ' and '"),
        ("top_category = 'a", "has no closing '"),
        ("customer_tags = 'vip'", "customer_tags is a list; write customer_tags CONTAINS 'text'"),
        ("top_category CONTAINS 'a'", "top_category is a text, not a list; use ="),
        ("customer_tags CONTAINS vip", "a 'text' stands here"),
        ("email_subscription_status = 'subscribed'", "did you mean 'SUBSCRIBED'?"),
        ("orders_placed > 3", "'orders_placed' is a function; write orders_placed MATCHES (...)"),
        ("order_placed MATCHES ()", "unknown function 'order_placed'; did you mean 'orders_placed'?"),
        ("orders_placed MATCHES (dates > -3d)", "orders_placed has no argument 'dates'; did you mean 'date'?"),
        ("orders_placed MATCHES (amount > percentile(amount_spent))", "compared with a fixed value"),
        ("orders_placed MATCHES (count > 1, amount > sum_amount)", "not with another name"),
        (" OR ".join(["number_of_orders = 1"] * 401), "has 401 tests, more than 400"),
        ("NOT " * 5000 + "number_of_orders = 1", "nested too deeply"),
        ("orders_placed MATCHES (channel)", "an argument is name = value"),
        ("products_purchased MATCHES (id = 'mug')", "an id is a whole number, or a 'text' with digits in it"),
        ("products_purchased MATCHES (id = 1.5)", "an id is a whole number"),
        ("products_purchased MATCHES (id IN (1, -1))", "an id is a whole number"),
        ("percentile(top_category) > 3", "percentile() needs a number, not a text"),
        ("anniversary(amount_spent) = today", "anniversary() needs a date, not a number"),
        ("anniversary(last_order_date) > today", "compared with =, BETWEEN or IN"),
        ("store('order_value_p8') > 3", "unknown store figure 'order_value_p8'; did you mean 'order_value_p80'?"),
        ("median(amount_spent) > 3", "unknown function 'median'"),
        ("last_order_date + 3 > today", "'+' needs numbers, and this is a date"),
        ("(number_of_orders > 1) + 1 > 2", "this is a condition, not a value"),
    ],
)
def test_faults_are_told_in_the_users_words(text: str, said: str) -> None:
    """Wrong names, types, operators and forms each get their own sentence."""
    assert said in _fault(text)[0]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a_b_c > 1", None),
        ("Number_Of_Orders>=3 and AMOUNT_SPENT>10", "number_of_orders >= 3 AND amount_spent > 10"),
        ("not number_of_orders in (1,2)", "number_of_orders NOT IN (1, 2)"),
        ("not in segment 'a-b' -- remark\n", "NOT IN SEGMENT 'a-b'"),
        ("top_category is not null", "top_category IS NOT NULL"),
        ("customer_tags not contains 'O''Brien'", "customer_tags NOT CONTAINS 'O''Brien'"),
        ("last_order_date between -1Y and yesterday", "last_order_date BETWEEN -1y AND yesterday"),
        ("amount_spent - -5 * 2 > .5", "amount_spent - -5 * 2 > 0.5"),
        ("(amount_spent - 5) * 2 > 0", "(amount_spent - 5) * 2 > 0"),
        ("((number_of_orders = 1))", "number_of_orders = 1"),
        ("Email.Opened matches ()", "email.opened MATCHES ()"),
        ("last_order_date - first_order_date > 90", "last_order_date - first_order_date > 90"),
    ],
)
def test_forms_that_are_accepted(text: str, canonical: str | None) -> None:
    """Keywords in any case, comments, doubled quotes, signs and redundant parentheses."""
    if canonical is None:
        assert "unknown attribute" in _fault(text)[0]
    else:
        assert to_text(parse(text).tree) == canonical


def test_and_binds_tighter_than_or_and_not_tighter_than_and() -> None:
    """a OR NOT b AND c is a OR ((NOT b) AND c)."""
    tree = parse("number_of_orders = 1 OR NOT number_of_orders = 2 AND number_of_orders = 3").tree
    assert isinstance(tree, t.Or)
    assert isinstance(tree.parts[1], t.And)
    assert isinstance(tree.parts[1].parts[0], t.Not)


def test_times_binds_tighter_than_plus_and_both_read_from_the_left() -> None:
    """1 - 2 - 3 * 4 / 5 is (1 - 2) - ((3 * 4) / 5)."""
    compare = parse("1 - 2 - 3 * 4 / 5 < number_of_orders").tree
    assert isinstance(compare, t.Compare)
    assert t.constant(compare.left) == Decimal(1 - 2) - Decimal(12) / 5


def test_old_named_dates_are_accepted_with_a_warning() -> None:
    """`30_days_ago` is -30d, and the author is told the new form with the line it stands on."""
    rule = parse("number_of_orders > 0\nAND last_order_date >= 12_months_ago", file="s.toml", line=4, key="old")
    assert to_text(rule.tree).endswith("last_order_date >= -12m")
    assert rule.warnings == ("s.toml:5 segment \"old\": '12_months_ago' is an old form; write -12m",)


def test_a_between_that_is_never_true_is_warned_of() -> None:
    """The larger bound first."""
    assert "never true" in parse("last_order_date BETWEEN today AND -30d").warnings[0]


def test_a_rule_knows_what_it_reads() -> None:
    """Attributes, functions, figures, segments, and the sources behind them."""
    rule = parse(
        "percentile(amount_spent) > 5 AND email.opened NOT MATCHES (date > -3d) AND NOT IN SEGMENT 'x'"
        " AND checkouts_abandoned MATCHES (amount > store('order_value_p80')) AND customer_tags CONTAINS 'a'"
    )
    assert rule.reads == {"amount_spent", "customer_tags"}
    assert rule.functions == {"email.opened", "checkouts_abandoned"}
    assert (rule.figures, rule.segments) == ({"order_value_p80"}, {"x"})
    assert rule.sources == {"orders", "customers", "carts", "email_events"}


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=30))
def test_any_text_survives_quoting(text: str) -> None:
    """Quotes, keywords, comment marks and line ends inside a text are text."""
    tree = parse(f"customer_tags CONTAINS {t.quote(text)}").tree
    assert tree == t.Contains(t.Attribute("customer_tags"), text)


TOKENS = st.sampled_from(["(", ")", "AND", "NOT", "IN", "'", "-3d", "3", "--", "amount_spent", ">"])


@given(st.text(max_size=40) | st.lists(TOKENS).map(" ".join))
def test_no_text_ends_in_anything_but_a_rule_or_a_told_fault(text: str) -> None:
    """Whatever is typed, the reader answers with a rule or with a SegmentError."""
    try:
        rule = parse(text)
    except SegmentError:
        return
    assert parse(to_text(rule.tree)).tree == rule.tree


def test_words_say_a_condition_in_english() -> None:
    """Constants are worked out, days are told as spans, negations stand where people say them."""
    tree = parse(
        "percentile(amount_spent) > 100 - 5 AND (last_order_date < -60d OR customer_tags NOT CONTAINS 'vip')"
        " AND orders_placed NOT MATCHES (date >= -1m, count >= 2)"
    ).tree
    assert words(tree) == (
        "the percentile of amount spent among buyers is more than 95"
        " and (last order date is before 60 days ago or customer tags do not include 'vip')"
        " and it is not so that an order was placed (date is on or after 1 month ago, count is at least 2)"
    )
