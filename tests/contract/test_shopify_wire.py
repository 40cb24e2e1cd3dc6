"""What every kind of reply of Shopify's Admin API means, in the shapes it was recorded in."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage
from connector.errors import AuthError, BadReply, BadRequest, ScopeError, Stopped, WrongShop
from connector.shopify import wire
from connector.shopify.judge import ShopifyWire, TooCostly, TooSlow
from connector.shopify.limits import limits

STATUS = {"maximumAvailable": 2000.0, "currentlyAvailable": 20, "restoreRate": 100.0}
PAGE = {"customers": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    kind = "text/html" if isinstance(body, bytes) and body.startswith(b"<") else "application/json"
    return Reply(status, {"content-type": kind, "x-request-id": "r-1", **headers}, raw)


def error(code: str | None, message: str = "went wrong", **more: Any) -> dict[str, Any]:
    extensions = {} if code is None else {"extensions": {"code": code, **more.pop("extensions", {})}}
    return {"message": message, **extensions, **more}


def cost(requested: float, actual: float | None) -> dict[str, Any]:
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": STATUS}}


def page_call(first: int = 250) -> Call:
    return wire.page(wire.Costs(), "customers", first, None, None)


def judge(answer: Reply, call: Call | None = None) -> Ok | RetryAfter | Rejected:
    return ShopifyWire(wire.Costs()).judge(call or page_call(), answer)


HIDDEN = error(
    "ACCESS_DENIED",
    "This app is not approved to use the emailAddress field.",
    path=["customers", "nodes", 0, "defaultEmailAddress", "emailAddress"],
)
REFUSED = error(
    "ACCESS_DENIED",
    "Access denied for customers field.",
    path=["customers"],
    extensions={"requiredAccess": "`read_customers` access scope."},
)


def test_answer_is_ok() -> None:
    """Data without errors."""
    assert judge(reply({"data": PAGE, "extensions": cost(57, 3)})) == Ok()


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (
            reply({"errors": [error("THROTTLED", "Throttled")], "extensions": cost(420, None)}),
            RetryAfter(4.0, "throttled"),
        ),
        (
            reply({"errors": [error("THROTTLED", "Throttled")], "extensions": cost(30, None)}),
            RetryAfter(1.0, "throttled"),
        ),
        (reply({"errors": [error("THROTTLED", "Throttled")]}), RetryAfter(None, "throttled")),
        (reply({"errors": "Exceeded 2 calls"}, 429, **{"retry-after": "2.0"}), RetryAfter(2.0, "HTTP 429")),
        (reply(b"<html>oops</html>", 500), RetryAfter(None, "HTTP 500")),
        (reply(b"", 502), RetryAfter(None, "HTTP 502")),
        (reply(b"", 503, **{"retry-after": "7"}), RetryAfter(7.0, "HTTP 503")),
        (reply(b"", 520), RetryAfter(None, "HTTP 520")),
        (
            reply({"errors": [error("INTERNAL_SERVER_ERROR", "Internal error", extensions={"requestId": "x"})]}),
            RetryAfter(None, "Internal error"),
        ),
        (
            reply({"data": PAGE, "errors": [error("INTERNAL_SERVER_ERROR", "Internal error", path=["customers"])]}),
            RetryAfter(None, "Internal error"),
        ),
        (reply(b'{"data": {"cust'), RetryAfter(None, "the answer is no JSON object")),
        (reply(b"[]"), RetryAfter(None, "the answer is no JSON object")),
    ],
)
def test_passing_failures_are_sent_again(answer: Reply, verdict: RetryAfter) -> None:
    """Throttling waits for the bucket to hold the call; the server's own seconds are kept."""
    assert judge(answer) == verdict


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (
            reply({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, 401),
            AuthError,
            "refused (401: [API] Invalid API key",
        ),
        (reply({"errors": "Payment required"}, 402), Stopped, "unpaid bills"),
        (reply({"errors": "User does not have access"}, 403), ScopeError, "User does not have access"),
        (reply(b"<!DOCTYPE html><html></html>", 404), WrongShop, "no such shop, or API version 2026-10 is gone (404)"),
        (reply({"errors": "Not Found"}, 404), WrongShop, "404: Not Found"),
        (reply(b"", 423), Stopped, "contact Shopify support"),
        (reply(b"", 430), Stopped, "malicious"),
        (reply({"errors": {"query": "Required parameter missing or invalid"}}, 400), BadRequest, "Required parameter"),
        (
            reply({"errors": [error("MAX_COST_EXCEEDED", "Query cost is 1203", extensions={"maxCost": 1000})]}),
            TooCostly,
            "Query cost is 1203",
        ),
        (reply({"errors": [error("undefinedField", "Field 'x' doesn't exist")]}), BadRequest, "Field 'x'"),
        (reply({"errors": [error("INVALID_VARIABLE", "Variable $ids")]}), BadRequest, "Variable $ids"),
        (reply({"errors": [error(None, "syntax error")]}), BadRequest, "syntax error"),
        (reply({"data": {"customers": None}, "errors": [REFUSED]}), ScopeError, "`read_customers` access scope"),
        (reply({"data": None, "errors": [REFUSED]}), ScopeError, "Access denied for customers"),
        (reply({"errors": [REFUSED]}), ScopeError, "Access denied for customers"),
        (reply({"errors": "Not Found"}), BadReply, "Not Found"),
        (reply({"errors": ["Not Found"]}), BadReply, "unknown shape"),
        (reply({"data": None}), BadReply, "neither data nor errors"),
        (reply(b"<html>Enter using password</html>"), BadReply, "web page"),
        (
            reply(
                {
                    "data": PAGE,
                    "extensions": {
                        "search": [
                            {
                                "path": ["customers"],
                                "query": "updatd_at:>='x'",
                                "warnings": [{"field": "updatd_at", "message": "Invalid search field for this query."}],
                            }
                        ]
                    },
                }
            ),
            BadReply,
            "updatd_at: Invalid search field",
        ),
    ],
)
def test_lasting_failures_name_the_way_out(answer: Reply, kind: type[Exception], text: str) -> None:
    """One line with operation, request id and what Shopify said."""
    verdict = judge(answer)
    assert isinstance(verdict, Rejected)
    assert type(verdict.error) is kind
    assert text in str(verdict.error)
    assert str(verdict.error).startswith("shopify: CustomersPage: ")
    assert str(verdict.error).endswith("(request r-1)")
    assert "\n" not in str(verdict.error)


def test_hidden_fields_leave_the_rest() -> None:
    """Protected data that is refused field by field is no failure, and what was refused is known."""
    answer = reply({"data": PAGE, "errors": [HIDDEN, HIDDEN]})
    assert judge(answer) == Ok()
    assert wire.answer(orjson.loads(answer.body)).denied == ("customers.nodes.defaultEmailAddress.emailAddress",)


def test_refused_records_do_not_read_as_deleted() -> None:
    """`nodes` of nulls with ACCESS_DENIED is a missing scope, not a deletion."""
    denied = error("ACCESS_DENIED", "Access denied for node.", path=["nodes", 0])
    verdict = judge(reply({"data": {"nodes": [None]}, "errors": [denied]}), wire.by_ids(wire.Costs(), "customers", [1]))
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, ScopeError)


def test_a_record_refused_as_a_whole_is_not_passed_over() -> None:
    """A page with a hole in it would move the mark past a record that was never read."""
    denied = error("ACCESS_DENIED", "Access denied.", path=["customers", "nodes", 0])
    data = {"customers": {"nodes": [None], "pageInfo": {"hasNextPage": False, "endCursor": None}}}
    verdict = judge(reply({"data": data, "errors": [denied]}), wire.page(wire.Costs(), "customers", 250, None, None))
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, ScopeError)


@pytest.mark.parametrize("path", [["o1"], ["o1", "lineItems"]])
def test_refused_lines_do_not_read_as_deleted(path: list[str]) -> None:
    """Lines that may not be read are a missing scope; a product that may not be read is a hole."""
    call = wire.more_lines(
        wire.Costs(), "orders", [("gid://shopify/Order/1", "a"), ("gid://shopify/Order/2", "b")], 250
    )
    data = {"o0": {"lineItems": {"nodes": [], "pageInfo": {"hasNextPage": False}}}, "o1": None}
    verdict = judge(reply({"data": data, "errors": [error("ACCESS_DENIED", "Access denied.", path=path)]}), call)
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, ScopeError)
    hole = [error("ACCESS_DENIED", path=[f"o{n}", "lineItems", "nodes", 0, "product"]) for n in (0, 1)]
    assert judge(reply({"data": data, "errors": hole}), call) == Ok()
    assert wire.answer({"data": data, "errors": hole}).denied == ("node.lineItems.nodes.product",)


def test_one_refused_count_leaves_the_other() -> None:
    """A root that is refused does not take the others with it."""
    denied = error("ACCESS_DENIED", "Access denied for ordersCount field.", path=["ordersCount"])
    body = {"data": {"customersCount": {"count": 3, "precision": "EXACT"}, "ordersCount": None}, "errors": [denied]}
    assert judge(reply(body), wire.query(wire.Costs(), "ShopCounts")) == Ok()


@pytest.mark.parametrize("answer", [reply(b"", 504), reply({"errors": [error("TIMEOUT", "Timeout")]})])
def test_slow_page_is_made_smaller(answer: Reply) -> None:
    """A page that Shopify could not finish in time is worth half of it; the smallest is sent again as it is."""
    verdict = judge(answer)
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, TooSlow)
    assert isinstance(judge(answer, page_call(limits().pages.smallest)), RetryAfter)
    assert isinstance(judge(answer, wire.query(wire.Costs(), "ShopInfo")), RetryAfter)
    for ids, kind in ((range(11), Rejected), (range(10), RetryAfter)):
        assert isinstance(judge(answer, wire.by_ids(wire.Costs(), "orders", ids)), kind)
    one = [("gid://shopify/Order/1", "c")]
    for first, kind in ((250, Rejected), (10, RetryAfter)):
        assert isinstance(judge(answer, wire.more_lines(wire.Costs(), "orders", one, first)), kind)


def test_partly_failed_mutation_is_resolved_per_alias() -> None:
    """One alias that failed does not send its neighbours again; all of them failing does."""
    call = wire.tags(wire.Costs(), [("a0", 1, ["seg-x"]), ("a1", 2, ["seg-x"])])
    problem = error("INTERNAL_SERVER_ERROR", "Internal error", path=["a1"])
    done = {"node": {"id": "gid://shopify/Customer/1"}, "userErrors": []}
    assert judge(reply({"data": {"a0": done, "a1": None}, "errors": [problem]}), call) == Ok()
    assert isinstance(judge(reply({"data": {"a0": None, "a1": None}, "errors": [problem]}), call), RetryAfter)


def test_usage_is_the_servers() -> None:
    """Bucket and cost come from the reply, also when throttled; the next call of the kind sets aside what it learnt."""
    costs = wire.Costs()
    subject = ShopifyWire(costs)
    call = wire.page(costs, "orders", 250, None, None)
    assert call.cost == 420
    assert subject.usage(call, reply({"data": {}, "extensions": cost(455, 31)})) == Usage("", 20, 2000, 100, 31)
    assert wire.page(costs, "orders", 250, "next", None).cost == 455
    assert wire.page(costs, "orders", 125, None, None).cost < 420
    throttled = reply({"errors": [error("THROTTLED")], "extensions": cost(455, None)})
    assert subject.usage(call, throttled) == Usage("", 20, 2000, 100, 0)
    assert subject.usage(call, reply(b"<html>", 502)) is None


def test_batches_learn_what_a_part_costs() -> None:
    """What two parts cost tells what forty do."""
    costs = wire.Costs()
    behind = [(f"gid://shopify/Order/{n}", "c") for n in range(40)]
    two = wire.more_lines(costs, "orders", behind[:2], 250)
    assert two.cost == 72
    ShopifyWire(costs).usage(two, reply({"data": {}, "extensions": cost(50, 9)}))
    assert wire.more_lines(costs, "orders", behind, 250).cost == 1000


@given(
    st.none() | st.text(alphabet="abc=,1 ", min_size=1).filter(lambda text: not text[0].isdigit()),
    st.lists(st.integers(1, 2**40), max_size=4),
)
def test_token_holds_cursor_and_debts(cursor: str | None, owed: list[int]) -> None:
    """What goes in comes out; without a cursor all is read."""
    assert wire.untoken(wire.token(cursor, owed)) == (cursor, owed if cursor else [])


def test_call_names_its_operation() -> None:
    """One document, its name, its variables."""
    call = wire.page(wire.Costs(), "orders", 250, "c1", "updated_at:>='2026-11-20T12:00:00Z'")
    assert (call.method, call.path) == ("POST", "/admin/api/2026-10/graphql.json")
    assert call.json["operationName"] == "OrdersPage"
    assert call.json["variables"] == {
        "first": 250,
        "after": "c1",
        "query": "updated_at:>='2026-11-20T12:00:00Z'",
        "lineItems": 250,
    }


STREAM = {stream.name: stream for stream in wire.STREAMS}


def test_filter_overlaps_by_the_lag() -> None:
    """Orders: the inclusive bound lies one index lag before the mark, quoted, in UTC."""
    assert wire.search_since(STREAM["orders"], 1795176000, "Asia/Tokyo") == "updated_at:>='2026-11-20T11:45:00Z'"
    assert wire.search_since(STREAM["orders"], None, "UTC") is None


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2026-11-20"), ("Asia/Tokyo", "2026-11-20"), ("America/New_York", "2026-11-19")]
)
def test_day_filter_takes_the_earlier_day(zone: str, day: str) -> None:
    """Customers: 2 o'clock UTC is still the day before in New York, and either may be meant by the filter."""
    assert wire.search_since(STREAM["customers"], 1795140000, zone) == f"updated_at:>='{day}T00:00:00Z'"


@given(st.text(alphabet="a' \\:\"()*", max_size=12))
def test_tag_is_one_quoted_term(tag: str) -> None:
    """Nothing in a tag's name ends the quotation."""
    text = wire.search_tag(tag)
    assert text.startswith("tag:'")
    inner = text.removeprefix("tag:'")[:-1]
    plain, escaped = "", False
    for character in inner:
        if character == "\\" and not escaped:
            escaped = True
            continue
        assert escaped or character != "'"
        plain, escaped = plain + character, False
    assert plain == tag
    assert not escaped
