"""A shop's records and what happens to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.sandbox.money import to_minor, to_text
from connector.sandbox.records import email_key
from connector.sandbox.world import StillClock, World

NOW = 1_795_000_000
DAY = 86_400


@pytest.fixture
def world() -> World:
    return World(clock=StillClock(NOW))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5000)), min_size=1, max_size=12), st.data())
def test_a_discount_on_the_order_is_shared_out_to_the_cent(items: list[tuple[int, int]], data: st.DataObject) -> None:
    """Shares add up to the discount, none exceeds its line, and total = lines − discounts + shipping + tax."""
    world = World(clock=StillClock(NOW))
    lines = [world.make_line(world.add_product("x", price), pieces) for pieces, price in items]
    whole = sum(line.gross for line in lines)
    off = data.draw(st.integers(0, whole))
    order = world.place_order(None, lines, email="a@example.com", order_off=off, shipping=490, tax=7)
    assert order.discount == off
    assert order.total == whole - off + 497
    for line in order.lines:
        assert 0 <= line.discount <= line.gross


def test_more_discount_than_value_is_refused(world: World) -> None:
    """An order cannot cost less than nothing."""
    with pytest.raises(ValueError, match="cannot take 11 off lines worth 10"):
        world.place_order(None, [(world.add_product("x", 10), 1)], order_off=11)


def test_every_change_dates_its_record_and_tells_the_watchers(world: World) -> None:
    """Orders, refunds, cancellations, consent, tags and edits bump `updated_at`; a change without effect does not."""
    ana = world.add_customer("ana@example.com", at=NOW - DAY)
    mug = world.add_product("Mug", 1000)
    order = world.place_order(ana, [(mug, 2)], at=NOW - DAY)
    told: list[tuple[str, int, bool]] = []
    world.watchers.append(lambda kind, record, gone: told.append((kind, record.number, gone)))
    clock = world.clock
    assert isinstance(clock, StillClock)
    deeds = [
        (ana, lambda: world.add_tags(ana, ["VIP"])),
        (ana, lambda: world.withdraw_consent(ana)),
        (ana, lambda: world.change_email(ana, "ana@new.example")),
        (order, lambda: world.refund(order, {order.lines[0].number: 1})),
        (order, lambda: world.edit_order(order, [*order.lines, (mug, 1)])),
        (order, lambda: world.cancel(order)),
    ]
    for record, deed in deeds:
        clock.sleep(60)
        told.clear()
        deed()
        assert record.updated_at == clock.now()
        assert (record.number, False) in {(number, gone) for _, number, gone in told}
    told.clear()
    assert world.add_tags(ana, ["vip"]) is False
    assert world.remove_tags(ana, ["absent"]) is False
    assert (told, ana.tag_list, ana.email_consent) == ([], ["VIP"], "UNSUBSCRIBED")
    assert world.by_email(" ANA@new.EXAMPLE") == [ana]
    assert not world.by_email("ana@example.com")


def test_refunds_never_exceed_what_was_paid(world: World) -> None:
    """A second refund takes what is left; more is refused."""
    order = world.place_order(None, [(world.add_product("x", 1000), 3)], email="a@example.com")
    world.refund(order, {order.lines[0].number: 1})
    rest = world.refund(order)
    assert (rest.amount, rest.lines[0].quantity, order.refunded) == (2000, 2, 3000)
    with pytest.raises(ValueError, match="cannot refund 1 of 0 left"):
        world.refund(order, amount=1)


def test_a_merge_moves_everything_and_leaves_orders_undated(world: World) -> None:
    """Orders and carts belong to the survivor, tags are united in the survivor's spelling, the loser is remembered."""
    loser = world.add_customer("old@example.com", at=NOW - 9 * DAY, tags=["VIP", "Press"])
    survivor = world.add_customer("new@example.com", at=NOW - 5 * DAY, tags=["vip"])
    order = world.place_order(loser, [(world.add_product("x", 10), 1)], at=NOW - 8 * DAY)
    cart = world.abandon_cart(loser, [(world.add_product("y", 10), 1)], at=NOW - 7 * DAY)
    world.merge(loser, survivor)
    assert (order.customer, cart.customer, order.updated_at) == (survivor, survivor, NOW - 8 * DAY)
    assert (list(world.orders_of(survivor)), list(world.orders_of(loser))) == ([order], [])
    assert (survivor.tag_list, survivor.updated_at) == (["Press", "vip"], NOW)
    assert loser.number not in world.customers
    assert world.merged == {loser.number: survivor.number}
    assert not world.by_email("old@example.com")


def test_people_with_orders_are_not_deleted_unless_told(world: World) -> None:
    """As at Shopify; where a platform allows it, the orders are left to nobody."""
    ana = world.add_customer("ana@example.com")
    order = world.place_order(ana, [(world.add_product("x", 10), 1)])
    with pytest.raises(ValueError, match="has 1 orders"):
        world.delete_customer(ana)
    world.delete_customer(ana, orphan_orders=True)
    assert (order.customer, world.customers, world.events[-1].action) == (None, {}, "destroy")


def test_a_recovered_cart_becomes_an_order(world: World) -> None:
    """The cart says when and which order; the order has the cart's lines and owner."""
    ana = world.add_customer("ana@example.com")
    cart = world.abandon_cart(ana, [(world.add_product("x", 250), 4)], at=NOW - 3600)
    order = world.complete_cart(cart)
    assert (cart.completed_at, cart.order, cart.updated_at) == (NOW, order.number, NOW)
    assert (order.total, order.customer, world.carts_of(ana)) == (1000, ana, [cart])


def test_numbers_and_guids_never_repeat(world: World) -> None:
    """A record is found by its GUID, also one made after the first look."""
    ana = world.add_customer()
    assert world.by_guid("customer", ana.guid) is ana
    ben = world.add_customer()
    assert world.by_guid("customer", ben.guid) is ben
    assert world.by_guid("customer", world.place_order(ben, [(world.add_product("x", 1), 1)]).guid) is None


@pytest.mark.parametrize(("given_", "key"), [(" Ana+x@EX.com ", "ana+x@ex.com"), ("  ", None), (None, None)])
def test_addresses_compare_trimmed_and_in_lower_case(given_: str | None, key: str | None) -> None:
    """The +tag is part of the address."""
    assert email_key(given_) == key


@given(st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_money_text_and_minor_units_are_the_same_money(minor: int, currency: str) -> None:
    """Writing and reading money loses nothing, whatever the currency's exponent."""
    assert to_minor(to_text(minor, currency), currency) == minor


@pytest.mark.parametrize(("minor", "currency", "text"), [(1250, "EUR", "12.5"), (0, "EUR", "0.0"), (-5, "EUR", "-0.05"),
                                                        (1250, "JPY", "1250.0"), (1250, "KWD", "1.25")])  # fmt: skip
def test_money_is_written_as_shopify_does(minor: int, currency: str, text: str) -> None:
    """No trailing zeros but one digit at least."""
    assert to_text(minor, currency) == text
