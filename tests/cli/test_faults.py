"""Faults on the way: each run ends as it should and says why; after the next nothing is lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from checks import check_nothing_doubled, check_one_line, check_private, check_remote_sides
from fault_rig import (
    ANYWHERE,
    LOST_ANSWER,
    TOO_MANY,
    TOO_MANY_UNTIL,
    Kind,
    Lasting,
    Options,
    Passing,
    State,
    calm_state,
    check_healed,
    check_ridden_out,
    check_stopped_then_healed,
    passing,
)
from local_shop import EVERYTHING, LocalShop, open_local
from shop import open_shop

from connector.sandbox.changes import happen
from connector.shopify.sandbox_install import TOKEN
from sync.runs import Steps

CUSTOMERS = 60
ONCE: dict[str, list[Kind]] = {
    "OrdersPage": [*ANYWHERE, ("throttled", {}), ("server_error", {}), ("partial", {})],
    "GetProfiles": [TOO_MANY_UNTIL, ("html_500", {}), ("truncated", {}), ("malformed", {})],
    "CreateList": [TOO_MANY, ("reset", {}), ("timeout", {}), ("truncated", {}), *LOST_ANSWER],
    "TagsBatch": [TOO_MANY_UNTIL, ("throttled", {}), ("partial", {}), ("truncated", {}), *LOST_ANSWER],
    "AddProfilesToList": [TOO_MANY, TOO_MANY_UNTIL, *LOST_ANSWER],
    "CreateImportJob": [("act_timeout", {})],
    "GetImportErrors": [("malformed", {})],
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalShop]:
    """A shop of 60 people, the same each time."""
    with open_local(tmp_path / "project", customers=CUSTOMERS) as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """What an undisturbed sync of that shop leaves."""
    with calm_state(tmp_path_factory.mktemp("calm") / "project", "shopify", CUSTOMERS) as found:
        yield found


@pytest.mark.parametrize("fault", passing(ONCE), ids=str)
def test_a_passing_fault_is_ridden_out(fault: Passing, shop: LocalShop, calm: State) -> None:
    """One failed answer changes nothing but the time it takes."""
    check_ridden_out(shop, fault, calm)


FOR_EVER: list[tuple[str, str, Options, int, tuple[str, ...]]] = [
    ("ShopInfo", "status", {"status": 503}, 4, ("shopify: ShopInfo: HTTP 503; gave up after 8 tries", "request ")),
    ("CustomersPage", "reset", {}, 4, ("shopify: CustomersPage: the connection to", "broke off; gave up")),
    ("OrdersPage", "timeout", {}, 4, ("shopify: OrdersPage: no answer from", "within 60 s; gave up")),
    ("OrdersPage", "partial", {}, 4, ("shopify: OrdersPage: Internal error", "request ")),
    ("OrdersPage", "truncated", {}, 4, ("shopify: OrdersPage: the answer is no JSON object; gave up", "request ")),
    ("ShopCounts", "status", {"status": 429, "retry_after": 7200}, 4, ("shopify: ShopCounts: HTTP 429", "2.0 h of")),
    (
        "OrdersPage",
        "status",
        {"status": 402},
        1,
        ("shopify: OrdersPage: the shop is frozen for unpaid", "settle"),
    ),
    ("OrdersPage", "token_expired", {}, 1, ("shopify: OrdersPage: the key is refused", "check it", "request ")),
    ("TagsBatch", "html_500", {}, 4, ("shopify: TagsBatch: HTTP 500; gave up", "tags: 70 changes left for the next")),
    ("TagsBatch", "token_expired", {}, 1, ("shopify: TagsBatch: the key is refused", "check it", "request ")),
    ("GetProfiles", "malformed", {}, 4, ("klaviyo: GetProfiles: the answer (HTTP 200) is no JSON; gave up",)),
    ("GetLists", "throttled", {}, 4, ("klaviyo: GetLists: HTTP 429; gave up after 8 tries",)),
    ("CreateList", "reset", {}, 4, ("klaviyo: CreateList: the connection to", "changes left for the next run")),
    (
        "CreateList",
        "throttled",
        {"retry_after": 80_000},
        4,
        ("new lists a day is used up; Klaviyo asks to wait 22",),
    ),
    (
        "AddProfilesToList",
        "timeout",
        {},
        4,
        ("klaviyo: AddProfilesToList: no answer from", "changes left for the next"),
    ),
    ("AddProfilesToList", "act_reset", {}, 4, ("klaviyo: AddProfilesToList: the connection to", "left for the next")),
    ("CreateImportJob", "act_500", {}, 4, ("klaviyo: CreateImportJob: HTTP 500; gave up", "left for the next run")),
    (
        "CreateImportJob",
        "stuck_import",
        {},
        4,
        ("klaviyo: ", "changes left for the next run", "not finished after 300 s"),
    ),
    ("GetImportJob", "html_500", {}, 4, ("klaviyo: GetImportJob: HTTP 500; gave up", "left for the next run")),
]


@pytest.mark.parametrize("fault", [Lasting(*each) for each in FOR_EVER], ids=str)
def test_a_lasting_fault_stops_with_one_line_and_the_next_sync_heals(
    fault: Lasting, shop: LocalShop, calm: State
) -> None:
    """The right exit code and one line that names the operation; then everything as if nothing had been."""
    check_stopped_then_healed(shop, fault, calm)


def test_tags_go_out_while_klaviyo_is_down(shop: LocalShop, calm: State) -> None:
    """A platform that always answers 503 holds up nobody else; its changes are sent when it is back."""
    shop.faults.add("/api/accounts", "status", status=503, times=0)
    shop.faults.add("/api/profiles", "status", status=503, times=0)
    shop.faults.add("/api/lists", "status", status=503, times=0)
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "klaviyo: GetAccounts: HTTP 503; gave up after 8 tries", "run again to go on")
    assert shop.our_tags() == calm["our tags"]
    assert shop.lists() == {}
    assert shop.klaviyo.requests.total() == 0
    shop.faults.script.clear()
    assert shop.go().code == 0
    check_healed(shop, calm)


def test_klaviyo_down_while_lists_are_written_keeps_its_ops(shop: LocalShop, calm: State) -> None:
    """What was not sent stays queued, is counted, and goes with the next sync."""
    shop.faults.add("/relationships/profiles", "status", status=503, times=0)
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "klaviyo: AddProfilesToList: HTTP 503", "klaviyo: 38 changes left for the next run")
    waiting = "SELECT count(*) FROM outbox WHERE destination = 'klaviyo' AND state <> 'done'"
    assert shop.query(waiting) == [(38,)]
    assert shop.our_tags() == calm["our tags"]
    shop.faults.script.clear()
    assert shop.go().code == 0
    check_healed(shop, calm)


@pytest.mark.parametrize(("match", "nth"), [("ShopInfo", 1), ("OrdersPage", 1), ("TagsBatch", 1)])
def test_a_token_that_ends_in_mid_run_is_renewed(match: str, nth: int, shop: LocalShop, calm: State) -> None:
    """With client credentials a refused token is bought again, once, and the run goes on."""
    secrets = shop.folder / ".env"
    client = "REGULARS_SHOPIFY_CLIENT_ID=sandbox-client\nREGULARS_SHOPIFY_CLIENT_SECRET=sandbox-secret"
    secrets.write_text(secrets.read_text().replace(f"REGULARS_SHOPIFY_TOKEN={TOKEN}", client))
    fault = shop.faults.add(match, "token_expired", nth=nth)
    ran = shop.go()
    assert (ran.code, ran.err) == (0, "")
    assert fault.fired == 1
    assert shop.shopify.operations["access_token"] == 2
    check_healed(shop, calm)


def test_a_customer_deleted_between_plan_and_push_fails_nobody_else(shop: LocalShop) -> None:
    """The one is refused and named by reason; everybody else is tagged, and the next sync knows that they are gone."""
    world = shop.world
    gone = next(p for p in world.customers.values() if world.orders_of(p) and p.email_consent == "SUBSCRIBED")
    shop.faults.before("TagsBatch", lambda: world.delete_customer(gone, orphan_orders=True))
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "tags: ", "refused", "Customer does not exist", "regulars status")
    assert len(shop.our_tags()) > 20
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    assert shop.query(f"SELECT gone_at IS NOT NULL FROM customers WHERE id = {gone.number}") == [(1,)]
    check_remote_sides(shop)
    check_nothing_doubled(shop)


def test_an_import_with_failures_refuses_only_those(shop: LocalShop, calm: State) -> None:
    """Who cannot be imported is refused once, with Klaviyo's reason; a later sync does not try again."""
    account = shop.klaviyo.account
    unknown = sorted({key for its in calm["lists"].values() for key in its if account.find_person(key) is None})
    assert len(unknown) > 1
    account.unimportable[unknown[0]] = "Invalid email address"
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "klaviyo: ", "refused", "Invalid email address", "regulars status")
    check_remote_sides(shop)
    writes = shop.writes
    again = shop.go()
    assert (again.code, again.err) == (0, "")
    assert shop.writes == writes
    check_nothing_doubled(shop)


def test_a_list_deleted_under_our_hands_comes_back_with_the_next_sync(shop: LocalShop, calm: State) -> None:
    """The list is made again, and its members join it."""
    account = shop.klaviyo.account

    def lose() -> None:
        account.delete_list(next(iter(account.lists)))

    shop.faults.before("AddProfilesToList", lose)
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "klaviyo: ", "no longer exists in Klaviyo", "run `regulars sync` again")
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_healed(shop, calm)


LATER = [
    ("RemoveProfilesFromList", "act_timeout", {}),
    ("AddProfilesToList", "act_500", {"times": 0}),
    ("TagsBatch", "act_reset", {"times": 0}),
]


@pytest.mark.parametrize(
    ("match", "kind", "options"), LATER, ids=["-".join([a, b, *(f"{k}{v}" for k, v in c.items())]) for a, b, c in LATER]
)
def test_nobody_is_sent_twice_into_a_live_flow(match: str, kind: str, options: Options, shop: LocalShop) -> None:
    """On a later day, with flows hanging on every list: who joins, joins once, whatever gets lost."""
    assert shop.go().code == 0
    account = shop.klaviyo.account
    for roll in list(account.lists.values()):
        account.add_flow(roll, f"Flow of {roll.name}")
    happen(shop.world, Random(4), 60)
    shop.clock.advance(30 * 86_400)
    fault = shop.faults.add(match, kind, **options)
    free = Steps(pull=True, derive=True, plan=True, apply=True, force=("mass-add", "mass-remove", "emptied"))
    first = shop.go(free)
    assert fault.fired
    assert first.code == (4 if options.get("times") == 0 else 0), first.err
    check_private(first.err, shop)
    shop.faults.script.clear()
    healed = shop.go(free)
    assert (healed.code, healed.err) == (0, "")
    assert account.flow_joins
    check_remote_sides(shop)
    check_nothing_doubled(shop)


def test_faults_all_along_a_sync_of_its_own_process(tmp_path: Path) -> None:
    """Over sockets: four faults in one run, and the whole of it as it should be."""
    with open_shop(tmp_path / "project", customers=20) as shop:
        shop.faults.add("OrdersPage", "status", status=429, retry_after=1)
        shop.faults.add("GetProfiles", "reset")
        shop.faults.add("TagsBatch", "act_reset")
        shop.faults.add("AddProfilesToList", "act_500")
        ran = shop.run("sync")
        assert (ran.code, ran.err) == (0, "")
        assert all(fault.fired for fault in shop.faults.script)
        check_remote_sides(shop)
        check_nothing_doubled(shop)


def test_a_key_refused_in_mid_run(tmp_path: Path) -> None:
    """One line, exit 1, nothing but that line."""
    with open_shop(tmp_path / "project", customers=30) as shop:
        shop.faults.add("OrdersPage", "status", status=401, times=0)
        ran = shop.call("sync")
        assert (ran.code, ran.out) == (1, "")
        check_one_line(ran.err, shop, "shopify: OrdersPage: the key is refused (401)", "request ")
        assert shop.writes == 0


def test_the_steps_of_a_stopped_run_are_told_by_status(shop: LocalShop) -> None:
    """The run is closed with its exit code and the line that was printed, scrubbed."""
    shop.faults.add("OrdersPage", "status", status=503, times=0)
    ran = shop.go(EVERYTHING)
    [(code, report)] = shop.query("SELECT exit_code, report FROM sync_run")
    assert code == ran.code == 4
    assert "shopify: OrdersPage: HTTP 503" in report
    check_private(report, shop)
