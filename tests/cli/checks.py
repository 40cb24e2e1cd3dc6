"""What must hold at all remote sides after a sync, whatever happened on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from shop import Ran, TestShop

from connector.sandbox.records import Customer, email_key

MAILABLE = ("subscribed", "transactional", "pending")

DUMPS = {
    "customers": "SELECT * FROM customers ORDER BY id",
    "tags": "SELECT customer_id, tag FROM customer_tags WHERE NOT ours ORDER BY 1, 2",
    "orders": "SELECT * FROM orders ORDER BY id",
    "lines": "SELECT * FROM order_lines ORDER BY order_id, id",
    "refunds": "SELECT * FROM refunds ORDER BY order_id, id",
    "codes": "SELECT * FROM order_codes ORDER BY 1, 2",
    "carts": "SELECT * FROM carts ORDER BY id",
    "cart lines": "SELECT * FROM cart_lines ORDER BY cart_id, id",
    "events": "SELECT * FROM events ORDER BY id",
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


def speakers(shop: TestShop, people: set[int]) -> dict[str, Customer]:
    """Per address who speaks for it: the member created first, if subscribed and nobody of the address has left."""
    known = shop.people()
    left = {email_key(person.email) for person in known.values() if person.email_consent == "UNSUBSCRIBED"}
    found: dict[str, Customer] = {}
    for number in sorted(people, key=lambda its: (known[its].created_at, its)):
        address = email_key(known[number].email)
        if address is not None:
            found.setdefault(address, known[number])
    return {key: its for key, its in found.items() if its.email_consent == "SUBSCRIBED" and key not in left}


def wanted(shop: TestShop, destination: str, mailable: Callable[[str], bool]) -> dict[str, set[str]]:
    """Per audience that is not empty the addresses that should be in it."""
    names = dict(shop.query(f"SELECT segment, name FROM audience WHERE destination = '{destination}'"))
    found = {}
    for segment, people in members(shop).items():
        addresses = {address for address in speakers(shop, people) if mailable(address)}
        if addresses and segment in names:
            found[names[segment]] = addresses
    return found


def wanted_lists(shop: TestShop) -> dict[str, set[str]]:
    """Klaviyo's: all whom it can import, except those whom it holds as unsubscribed or suppressed."""
    account = shop.klaviyo.account

    def mailable(address: str) -> bool:
        profile = account.find_person(address)
        stays = profile is None or (profile.consent != "UNSUBSCRIBED" and not profile.suppressions)
        return stays and address not in account.unimportable

    return wanted(shop, "klaviyo", mailable)


def wanted_mail_tags(shop: TestShop) -> dict[str, set[str]]:
    """Mailchimp's: those who are in the audience and did not opt out, bounce or get archived there."""

    def mailable(address: str) -> bool:
        member = shop.mailchimp.audience.find(address)
        return member is not None and member.status in MAILABLE

    return wanted(shop, "mailchimp", mailable)


def check_remote_sides(shop: TestShop) -> None:
    """Tags equal membership; lists and Mailchimp's tags equal consented membership."""
    known = shop.people()
    tags: dict[int, set[str]] = {}
    for segment, people in members(shop).items():
        for person in people:
            tags.setdefault(known[person].number, set()).add(f"seg-{segment}")
    assert shop.our_tags() == tags
    assert {name: people for name, people in shop.lists().items() if people} == wanted_lists(shop)
    assert {name: people for name, people in shop.mail_tags().items() if people} == wanted_mail_tags(shop)


def check_nothing_doubled(shop: TestShop) -> None:
    """No list or tag twice, nobody twice in a flow, no op left over, consent as it was."""
    account, audience = shop.klaviyo.account, shop.mailchimp.audience
    made = [roll.name for roll in account.lists.values()]
    made += [tag.name.casefold() for tag in audience.segments.values()]
    joins = [(join.flow, join.profile_id) for join in account.flow_joins]
    joins += [(join.tag, join.address.lower()) for join in shop.mailchimp.joins]
    for kind in (made, joins):
        assert not [each for each, number in Counter(kind).items() if number > 1]
    assert not shop.store.doubled()
    assert shop.query("SELECT count(*) FROM outbox WHERE state NOT IN ('done', 'refused')") == [(0,)]
    assert not shop.mailchimp.consent_writes
    assert not shop.mailchimp.replaced
    assert shop.store.consent_writes() == 0


def check_one_line(text: str, shop: TestShop, *parts: str) -> None:
    """One line on stderr beside those of further tries, with these parts: no traceback, no secret, no address."""
    lines = [line for line in text.splitlines() if "; trying again in " not in line]
    assert len(lines) == 1, text
    for part in parts:
        assert part in lines[0], lines[0]
    check_private(text, shop)


def check_untouched(shop: TestShop, ran: Ran, code: int, *parts: str, database: bool) -> None:
    """Exit code, one line with these parts, no result; no write at any side; the database only if it may be."""
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
