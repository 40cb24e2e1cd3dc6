"""A Wix store in trouble: each run ends as it should and says why; after the next nothing is lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from checks import check_nothing_doubled, check_one_line, check_private, check_remote_sides
from fault_rig import (
    ANYWHERE,
    LOST_ANSWER,
    TOO_MANY,
    TOO_MANY_UNTIL,
    Kind,
    Lasting,
    Passing,
    State,
    calm_state,
    check_healed,
    check_ridden_out,
    check_stopped_then_healed,
    passing,
)
from local_shop import LocalShop, open_local
from shop import open_shop

from connector.wix.sandbox import API_KEY
from connector.wix.sandbox_labels import work_of

CUSTOMERS = 40
THROTTLED: Kind = ("throttled", {})
UNAVAILABLE: Kind = ("unavailable", {})
CONFLICT: Kind = ("conflict", {})
APP = ("app-id", "app-secret", "instance-id")

ONCE: dict[str, list[Kind]] = {
    "SearchOrders": [*ANYWHERE, THROTTLED, UNAVAILABLE],
    "QueryContacts": [THROTTLED, UNAVAILABLE, ("reset", {}), ("truncated", {}), ("malformed", {})],
    "QueryAbandonedCheckouts": [TOO_MANY_UNTIL, ("html_500", {}), ("malformed", {})],
    "ListRecipients": [THROTTLED, ("timeout", {}), ("truncated", {})],
    "GetCatalogVersion": [UNAVAILABLE, ("malformed", {})],
    "FindOrCreateLabel": [*ANYWHERE, UNAVAILABLE, *LOST_ANSWER],
    "BulkAddRemoveLabels": [TOO_MANY, TOO_MANY_UNTIL, ("html_500", {}), ("reset", {}), ("truncated", {}), *LOST_ANSWER],
    "GetBulkJob": [THROTTLED, UNAVAILABLE, ("timeout", {}), ("malformed", {})],
    "LabelContact": [THROTTLED, ("html_500", {}), ("truncated", {}), *LOST_ANSWER],
}

FOR_EVER = [
    Lasting(
        "GetSiteProperties", "unavailable", {}, 4, ("wix: GetSiteProperties: HTTP 503; gave up after 8", "request ")
    ),
    Lasting("QueryContacts", "reset", {}, 4, ("wix: QueryContacts: the connection to", "broke off; gave up")),
    Lasting("SearchOrders", "timeout", {}, 4, ("wix: SearchOrders: no answer from", "gave up")),
    Lasting("SearchOrders", "html_500", {}, 4, ("wix: SearchOrders: HTTP 500; gave up after 8", "request ")),
    Lasting("SearchOrders", "malformed", {}, 4, ("wix: SearchOrders: the answer", "is no JSON; gave up", "request ")),
    Lasting("SearchOrders", "throttled", {}, 4, ("wix: SearchOrders: HTTP 429", "run again then", "request ")),
    Lasting("SearchOrders", "status", {"status": 401}, 1, ("wix: SearchOrders: the key is refused", "request ")),
    Lasting(
        "FindOrCreateLabel", "unavailable", {}, 4, ("wix: FindOrCreateLabel: HTTP 503; gave up", "left for the next")
    ),
    Lasting(
        "FindOrCreateLabel", "act_reset", {}, 4, ("wix: FindOrCreateLabel: the connection to", "left for the next")
    ),
    Lasting("BulkAddRemoveLabels", "html_500", {}, 4, ("wix: BulkAddRemoveLabels: HTTP 500", "left for the next run")),
    Lasting("BulkAddRemoveLabels", "act_timeout", {}, 4, ("wix: BulkAddRemoveLabels: no answer", "left for the next")),
    Lasting("BulkAddRemoveLabels", "conflict", {}, 4, ("tags: ", "changes left for the next run", "HTTP 409")),
    Lasting(
        "BulkAddRemoveLabels", "stuck_job", {}, 4, ("tags: ", "changes left for the next", "not finished after 300 s")
    ),
    Lasting("LabelContact", "conflict", {}, 4, ("tags: ", "changes left for the next run", "HTTP 409")),
    Lasting("GetBulkJob", "unavailable", {"nth": 2}, 4, ("wix: GetBulkJob: HTTP 503; gave up", "left for the next")),
]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalShop]:
    """A Wix shop of 40 people, the same each time."""
    with open_local(tmp_path / "project", platform="wix", customers=CUSTOMERS) as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """What an undisturbed sync of that shop leaves."""
    with calm_state(tmp_path_factory.mktemp("calm") / "project", "wix", CUSTOMERS) as found:
        yield found


def by_app(shop: LocalShop) -> None:
    """Let the project use an app's token in the place of the key."""
    shop.wix.door.app = APP
    named = zip(("APP_ID", "APP_SECRET", "INSTANCE_ID"), APP, strict=True)
    secrets = shop.folder / ".env"
    app = "\n".join(f"REGULARS_WIX_{name}={value}" for name, value in named)
    secrets.write_text(secrets.read_text().replace(f"REGULARS_WIX_API_KEY={API_KEY}", app))


@pytest.mark.parametrize("fault", passing(ONCE), ids=str)
def test_a_passing_fault_at_wix_is_ridden_out(fault: Passing, shop: LocalShop, calm: State) -> None:
    """One failed answer changes nothing but the time it takes."""
    check_ridden_out(shop, fault, calm)


@pytest.mark.parametrize("fault", FOR_EVER, ids=str)
def test_a_lasting_fault_at_wix_stops_with_one_line_and_the_next_sync_heals(
    fault: Lasting, shop: LocalShop, calm: State
) -> None:
    """The right exit code and one line that names the operation; then everything as if nothing had been."""
    check_stopped_then_healed(shop, fault, calm)


TOKEN_FAULTS: list[Kind] = [*ANYWHERE, *LOST_ANSWER]


@pytest.mark.parametrize(("kind", "options"), TOKEN_FAULTS, ids=[f"{kind}-{options}" for kind, options in TOKEN_FAULTS])
def test_the_token_of_an_app_is_asked_for_again(
    kind: str, options: dict[str, int], shop: LocalShop, calm: State
) -> None:
    """One failed answer of the token's address changes nothing but the time it takes."""
    by_app(shop)
    check_ridden_out(shop, Passing("/oauth2/token", kind, options), calm)


@pytest.mark.parametrize("match", ["GetSiteProperties", "SearchOrders", "FindOrCreateLabel", "BulkAddRemoveLabels"])
def test_a_token_that_ends_on_the_way_is_renewed(match: str, shop: LocalShop, calm: State) -> None:
    """A refused token is bought again, once, and the run goes on."""
    by_app(shop)
    check_ridden_out(shop, Passing(match, "token_expired", {}), calm)
    assert shop.wix.operations["/oauth2/token"] == 2


def test_an_app_that_is_not_installed_stops_at_once(shop: LocalShop) -> None:
    """Exit 1; the way out is named; nothing is read."""
    by_app(shop)
    shop.wix.door.app = (*APP[:2], "another-instance")
    ran = shop.go()
    assert ran.code == 1
    check_one_line(ran.err, shop, "wix: AccessToken: ", "check REGULARS_WIX_INSTANCE_ID")
    assert shop.wix.operations.keys() == {"/oauth2/token"}


NEEDED = [
    ("SCOPE.DC-STORES.READ-ORDERS", "SearchOrders"),
    ("SCOPE.DC-CONTACTS.READ-CONTACTS", "QueryContacts"),
    ("SCOPE.DC.MANAGE-YOUR-APP", "GetSiteProperties"),
    ("SCOPE.DC-CONTACTS.MANAGE-LABELS", "QueryLabels"),
    ("SCOPE.DC-CONTACTS.MANAGE-CONTACTS", "GetBulkJob"),
]


@pytest.mark.parametrize(("scope", "operation"), NEEDED)
def test_without_a_needed_permission_nobody_is_written(scope: str, operation: str, shop: LocalShop) -> None:
    """Exit 1 and one line with what was asked for; nobody gets a tag or joins a list."""
    shop.world.denied.add(scope)
    ran = shop.go()
    assert ran.code == 1
    check_one_line(ran.err, shop, f"wix: {operation}: the key lacks {scope}", "grant it", "request ")
    assert shop.our_tags() == {}
    assert not shop.query("SELECT 1 FROM audience")
    assert not any(shop.lists().values())
    assert not any(shop.mail_tags().values())


SPARED = [
    ("SCOPE.DC-STORES.READ-PRODUCTS", "products"),
    ("SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING", "email_events"),
]


@pytest.mark.parametrize(("scope", "stream"), SPARED)
def test_a_run_goes_on_without_what_it_can_spare(scope: str, stream: str, shop: LocalShop, calm: State) -> None:
    """Exit 4 and one line that names what was left out; people get their tags; with the right back all is as ever."""
    shop.world.denied.add(scope)
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, f"the key lacks {scope}", f"so {stream} were left out", "request ")
    assert shop.our_tags() == calm["our tags"]
    assert stream in dict(shop.query("SELECT key, value FROM meta"))["unreadable"]
    shop.world.denied.clear()
    shop.clock.advance(3600)
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_healed(shop, calm)


def test_status_and_doctor_name_what_may_not_be_read(tmp_path: Path) -> None:
    """The stream and the scope, after a run that went on without them."""
    with open_shop(tmp_path / "project", platform="wix", customers=20) as shop:
        shop.world.denied |= {"SCOPE.DC-STORES.READ-PRODUCTS", "SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS"}
        assert shop.call("sync").code == 4
        assert "products: not readable: wix: GetCatalogVersion: the key lacks" in shop.call("status").out
        doctor = shop.call("doctor", "--json")
        assert (doctor.code, doctor.err) == (0, "")
        warnings = [its["text"] for its in doctor.json() if its["level"] == "warning"]
        for scope in shop.world.denied:
            assert any(scope in text for text in warnings), warnings


def test_contacts_whom_a_job_fails_for_are_left_for_the_next_run(shop: LocalShop, calm: State) -> None:
    """The others are labelled; who failed is told, and labelled when Wix can."""
    work = work_of(shop.wix.site)
    victim = next(its for its in shop.people().values() if its.number in calm["our tags"])
    work.failing.add(victim.guid)
    ran = shop.go()
    work.failing.clear()
    if ran.code:
        check_one_line(ran.err, shop, "tags: ", "left for the next run")
        assert victim.number not in shop.our_tags()
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_healed(shop, calm)


def test_a_contact_deleted_between_plan_and_push_fails_nobody_else(shop: LocalShop) -> None:
    """The one is refused or left; everybody else is labelled, and the next sync knows that they are gone."""
    world = shop.world
    gone = next(p for p in world.customers.values() if world.orders_of(p) and p.email_consent == "SUBSCRIBED")
    shop.faults.before("FindOrCreateLabel", lambda: world.delete_customer(gone, orphan_orders=True))
    ran = shop.go()
    assert ran.code == 4, ran.err
    check_private(ran.err, shop)
    assert len(shop.our_tags()) > 20
    shop.clock.advance(60)
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_remote_sides(shop)
    check_nothing_doubled(shop)


def test_a_label_deleted_by_hand_comes_back_with_the_next_sync(shop: LocalShop, calm: State) -> None:
    """The label is made again, and its people get it."""
    site = shop.wix.site

    def lose() -> None:
        site.delete_label(next(its for its in site.labels.values() if its.display_name == "seg-lost"))

    shop.faults.before("BulkAddRemoveLabels", lose)
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "tags: ", "no longer exists in Wix")
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_remote_sides(shop)


def test_a_label_renamed_by_hand_stays_the_same_label(shop: LocalShop) -> None:
    """It is known by its key: nobody is labelled anew."""
    assert shop.go().code == 0
    [label] = [its for its in shop.wix.site.labels.values() if its.display_name == "seg-lost"]
    shop.wix.site.rename_label(label, "Gone for ever")
    before = shop.writes
    shop.clock.advance(3600)
    ran = shop.go()
    assert (ran.code, ran.err) == (0, "")
    assert shop.writes == before
