"""What must hold at both remote sides after a sync, whatever happened on the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shop import Ran, TestShop

from connector.sandbox.records import email_key

DUMPS = {
    "customers": "SELECT * FROM customers ORDER BY id",
    "tags": "SELECT customer_id, tag FROM customer_tags WHERE NOT ours ORDER BY 1, 2",
    "orders": "SELECT * FROM orders ORDER BY id",
    "lines": "SELECT * FROM order_lines ORDER BY id",
    "refunds": "SELECT * FROM refunds ORDER BY id",
    "codes": "SELECT * FROM order_codes ORDER BY 1, 2",
    "carts": "SELECT * FROM carts ORDER BY id",
    "cart lines": "SELECT * FROM cart_lines ORDER BY id",
    "metrics": "SELECT * FROM customer_metrics ORDER BY customer_id",
    "membership": "SELECT segment, customer_id FROM membership ORDER BY 1, 2",
    "ledger": "SELECT destination, segment, customer_id FROM ledger ORDER BY 1, 2, 3",
}
TOUCHED = ("updated_at", "digest")


def dump(shop: TestShop) -> dict[str, list[tuple[Any, ...]]]:
    """Facts, metrics, membership and ledger, sorted. What our own tags move at a customer is left out."""
    names = [row[1] for row in shop.query("PRAGMA table_info(customers)") if row[1] not in TOUCHED]
    sql = {**DUMPS, "customers": f"SELECT {', '.join(names)} FROM customers ORDER BY id"}
    return {name: shop.query(text) for name, text in sql.items()}


def members(shop: TestShop) -> dict[str, set[int]]:
    """Membership as the database holds it, of the segments that are pushed."""
    found: dict[str, set[int]] = {}
    pushed = {row[0] for row in shop.query("SELECT DISTINCT segment FROM audience")}
    for segment, person in shop.query("SELECT segment, customer_id FROM membership"):
        if segment in pushed:
            found.setdefault(segment, set()).add(person)
    return found


def wanted_lists(shop: TestShop) -> dict[str, set[str]]:
    """Per list the addresses that should be in it.

    The member created first speaks for an address: subscribed at the store, under no record unsubscribed there, and
    held by Klaviyo as neither unsubscribed nor suppressed.
    """
    account = shop.klaviyo.account
    people = shop.world.customers
    left = {email_key(person.email) for person in people.values() if person.email_consent == "UNSUBSCRIBED"}
    names = dict(shop.query("SELECT segment, name FROM audience WHERE destination = 'klaviyo'"))
    found = {}
    for segment, numbers in members(shop).items():
        speakers = {}
        for person in sorted((people[number] for number in numbers), key=lambda its: (its.created_at, its.number)):
            speakers.setdefault(email_key(person.email), person)
        addresses = set()
        for key, person in speakers.items():
            if key is None or person.email_consent != "SUBSCRIBED" or key in left or key in account.unimportable:
                continue
            profile = account.find_person(key)
            if profile is None or (profile.consent != "UNSUBSCRIBED" and not profile.suppressions):
                addresses.add(key)
        if addresses and segment in names:
            found[names[segment]] = addresses
    return found


def check_remote_sides(shop: TestShop) -> None:
    """Tags equal membership, lists equal consented membership."""
    tags: dict[int, set[str]] = {}
    for segment, people in members(shop).items():
        for person in people:
            tags.setdefault(person, set()).add(f"seg-{segment}")
    assert shop.our_tags() == tags
    assert {name: people for name, people in shop.lists().items() if people} == wanted_lists(shop)


def check_nothing_doubled(shop: TestShop) -> None:
    """No list twice, nobody twice in a flow, no op left over."""
    account = shop.klaviyo.account
    names = Counter(roll.name for roll in account.lists.values())
    assert not [name for name, number in names.items() if number > 1]
    joins = Counter((join.flow, join.profile_id) for join in account.flow_joins)
    assert not [join for join, number in joins.items() if number > 1]
    assert shop.query("SELECT count(*) FROM outbox WHERE state NOT IN ('done', 'refused')") == [(0,)]


def check_one_line(text: str, shop: TestShop, *parts: str) -> None:
    """One line on stderr beside those of further tries, with these parts: no traceback, no secret, no address."""
    lines = [line for line in text.splitlines() if "; trying again in " not in line]
    assert len(lines) == 1, text
    for part in parts:
        assert part in lines[0], lines[0]
    check_private(text, shop)


def check_untouched(shop: TestShop, ran: Ran, code: int, *parts: str, database: bool) -> None:
    """Exit code, one line with these parts, no result; no write at either side; the database only if it may be."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    check_one_line(ran.err, shop, *parts)
    assert (shop.folder / "regulars.db").exists() is database


def check_private(text: str, shop: TestShop) -> None:
    """No traceback, no secret of the folder, nobody's address."""
    assert "Traceback" not in text
    for line in (shop.folder / ".env").read_text().splitlines():
        secret = line.partition("=")[2]
        assert not secret or secret not in text
    for person in shop.world.customers.values():
        assert not person.email or person.email not in text
