"""Customer tags: batches, receipts, limits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Access, Audience, Batch, Op, Person, Receipt, Reply
from connector.errors import ScopeError
from connector.http import handler_transport
from connector.sandbox.wire import Request
from connector.shopify import ShopifySettings, TagsSettings, platform
from connector.shopify.destination import ShopifyTags
from connector.shopify.limits import limits
from sync.clock import ManualClock

MOST = limits().tags.mutations


def op(number: int, customer: int, action: str = "add", segment: str = "vip", held: int = 0) -> Op:
    audience = Audience(segment, f"seg-{segment}", f"seg-{segment}")
    return Op(number, action, audience, Person(customer, tags=held))  # type: ignore[arg-type]


def tags(answer: Callable[[dict[str, Any]], Any] = lambda body: {}) -> ShopifyTags:
    """The destination over a shop that answers with `answer(request body)`."""

    def handle(request: Request) -> Reply:
        return Reply(200, {"content-type": "application/json"}, orjson.dumps(answer(orjson.loads(request.body))))

    access = Access(
        ShopifySettings(shop="toy"),
        {"REGULARS_SHOPIFY_TOKEN": "shpat_toy"},
        ManualClock(1_795_176_000),
        handler_transport(handle),
    )
    assert platform.destination is not None
    made = platform.destination(access, TagsSettings())
    assert isinstance(made, ShopifyTags)
    return made


def done(body: dict[str, Any]) -> dict[str, Any]:
    aliases = [name for name in body["variables"] if not name.endswith("id")]
    return {"data": {alias: {"node": {"id": body["variables"][f"{alias}id"]}, "userErrors": []} for alias in aliases}}


ops_lists = st.lists(
    st.tuples(st.integers(1, 90), st.sampled_from(["add", "remove"]), st.sampled_from(["a", "b", "c"])), max_size=400
).map(lambda rows: [op(n, *row) for n, row in enumerate(rows)])


@given(ops_lists)
def test_every_op_is_in_exactly_one_batch_in_the_fewest_requests(ops: list[Op]) -> None:
    """All of a customer's ops share a batch, removals first; the mutations fill the requests to the brim."""
    batches = list(tags().batches(iter(ops)))
    assert Counter(each.id for batch in batches for each in batch.ops) == Counter(each.id for each in ops)
    home: dict[int, int] = {}
    for number, batch in enumerate(batches):
        pairs = {(each.person.customer_id, each.action) for each in batch.ops}
        assert 0 < len(pairs) <= MOST
        last: dict[int, str] = {}
        for each in batch.ops:
            assert home.setdefault(each.person.customer_id, number) == number
            assert (last.get(each.person.customer_id), each.action) != ("add", "remove")
            last[each.person.customer_id] = each.action
    mutations = len({(each.person.customer_id, each.action) for each in ops})
    assert len(batches) == math.ceil(mutations / MOST)


@given(ops_lists)
def test_estimate_is_what_the_batches_take(ops: list[Op]) -> None:
    """The plan's number of calls is the number of batches."""
    subject = tags()
    adds: dict[str, list[Person]] = {}
    removes: dict[str, list[Person]] = {}
    for each in ops:
        (adds if each.action == "add" else removes).setdefault(each.audience.segment, []).append(each.person)
    calls, seconds = subject.estimate(adds, removes)
    assert calls == len(list(subject.batches(ops)))
    assert seconds >= 0


def test_estimate_knows_the_refill() -> None:
    """A full bucket goes at once, the rest at the refill rate: 10 points a mutation."""
    people = [Person(number) for number in range(1000)]
    assert tags().estimate({"vip": people}, {}) == (10, (10_000 - 2_000) / 100)


def test_push_sends_one_alias_per_direction() -> None:
    """Two additions of a customer are one mutation, the removal stands before it."""
    seen: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> Any:
        seen.append(body)
        return done(body)

    subject = tags(answer)
    (batch,) = subject.batches([op(1, 7, "add", "a"), op(2, 7, "add", "b"), op(3, 7, "remove", "c"), op(4, 8)])
    receipts = subject.push(batch)
    assert {receipt.op: receipt.outcome for receipt in receipts} == {1: "done", 2: "done", 3: "done", 4: "done"}
    assert len(seen) == subject.calls == 1
    assert seen[0]["variables"] == {
        "r0id": "gid://shopify/Customer/7",
        "r0": ["seg-c"],
        "a0id": "gid://shopify/Customer/7",
        "a0": ["seg-a", "seg-b"],
        "a1id": "gid://shopify/Customer/8",
        "a1": ["seg-vip"],
    }
    assert seen[0]["query"].index("tagsRemove") < seen[0]["query"].index("tagsAdd")


def test_bad_customer_is_refused_alone() -> None:
    """A customer that is gone is refused by name; a tag to remove from them is gone with them."""

    def answer(body: dict[str, Any]) -> Any:
        found = done(body)
        for alias in ("a0", "r1"):
            found["data"][alias] = {
                "node": None,
                "userErrors": [{"field": ["id"], "message": "Customer does not exist"}],
            }
        return found

    receipts = tags(answer).push(Batch((op(1, 7), op(2, 8, "remove"), op(3, 9))))
    assert receipts == [
        Receipt(1, "refused", "Customer does not exist"),
        Receipt(2, "done", remote_id="8"),
        Receipt(3, "done", remote_id="9"),
    ]


@pytest.mark.parametrize(("code", "outcome"), [("INTERNAL_SERVER_ERROR", "retry"), ("BAD_REQUEST", "refused")])
def test_failed_alias_is_resolved_alone(code: str, outcome: str) -> None:
    """An alias that failed by itself is tried on a later run, or refused if it never can succeed."""

    def answer(body: dict[str, Any]) -> Any:
        found = done(body)
        found["data"]["a1"] = None
        found["errors"] = [{"message": "no", "path": ["a1"], "extensions": {"code": code}}]
        return found

    receipts = tags(answer).push(Batch((op(1, 7), op(2, 8))))
    assert [(receipt.op, receipt.outcome) for receipt in receipts] == [(1, "done"), (2, outcome)]


def test_full_customer_is_refused_without_a_call() -> None:
    """250 tags are the most: what does not fit is not sent, what is removed makes room."""
    subject = tags(done)
    assert [r.outcome for r in subject.push(Batch((op(1, 7, held=250),)))] == ["refused"]
    assert subject.calls == 0
    ops = (op(1, 7, "remove", "a", 250), op(2, 7, "add", "b", 250), op(3, 7, "add", "c", 250))
    outcomes = {receipt.op: receipt.outcome for receipt in subject.push(Batch(ops))}
    assert outcomes == {1: "done", 2: "done", 3: "refused"}


def test_too_costly_request_is_halved() -> None:
    """A shop whose mutations cost more than we think still gets every one of them."""
    sizes: list[int] = []

    def answer(body: dict[str, Any]) -> Any:
        sizes.append(len(body["variables"]) // 2)
        if sizes[-1] > 3:
            return {"errors": [{"message": "too much", "extensions": {"code": "MAX_COST_EXCEEDED"}}]}
        return done(body)

    receipts = tags(answer).push(Batch(tuple(op(n, n) for n in range(1, 11))))
    assert sorted(receipt.op for receipt in receipts if receipt.outcome == "done") == list(range(1, 11))
    assert sizes == [10, 5, 2, 3, 5, 2, 3]


def test_missing_scope_stops_the_push() -> None:
    """Without write_customers no op is refused: the key is."""

    def answer(body: dict[str, Any]) -> Any:
        aliases = done(body)["data"]
        errors = [
            {"message": "Access denied for tagsAdd field.", "path": [a], "extensions": {"code": "ACCESS_DENIED"}}
            for a in aliases
        ]
        return {"data": dict.fromkeys(aliases), "errors": errors}

    with pytest.raises(ScopeError, match="Access denied for tagsAdd"):
        tags(answer).push(Batch((op(1, 7), op(2, 8))))


@pytest.mark.parametrize("prefix", ["", " ", " seg", "a,b", "x" * 51])
def test_useless_prefix_is_refused(prefix: str) -> None:
    """Without a prefix every tag would be ours, with a comma there would be two."""
    with pytest.raises(ValueError, match="prefix"):
        TagsSettings(prefix=prefix)


def test_names_are_lower_case() -> None:
    """`VIP` and `vip` are one tag in Shopify."""
    assert tags().audience_name("lapsed-vip", "Lapsed VIPs") == "seg-lapsed-vip"


@pytest.mark.parametrize(
    ("given_", "shop"),
    [("toy", "toy.myshopify.com"), ("https://Toy.myshopify.com/", "toy.myshopify.com"), ("t-1.myshopify.com",) * 2],
)
def test_shop_is_named_by_its_own_address(given_: str, shop: str) -> None:
    """The handle, the address and the URL mean the same shop."""
    assert ShopifySettings(shop=given_).shop == shop
    assert ShopifySettings(shop=given_).base_url == f"https://{shop}"


@pytest.mark.parametrize("name", ["", "shop.example.com", "a.b.myshopify.com", "toy.myshopify.com.evil.example"])
def test_other_addresses_are_refused(name: str) -> None:
    """A storefront's domain is not where the Admin API lives, and a key is never sent to a stranger."""
    with pytest.raises(ValueError, match="own address"):
        ShopifySettings(shop=name)
