"""What a Wix key may do: a missing permission blocks its stream alone, and doctor tries each and names it."""

from __future__ import annotations

import pytest
from wix_rig import APP, Rig
from wix_source_rig import reader, shop

from connector.base import Access
from connector.errors import ScopeError, WrongShop
from connector.http import handler_transport
from connector.wix import WixSettings
from connector.wix.connection import connect
from connector.wix.sandbox import API_KEY, SITE_ID
from connector.wix.source import WixSource

CONTACTS = "SCOPE.DC-CONTACTS.READ-CONTACTS"
LABELS = "SCOPE.DC-CONTACTS.MANAGE-LABELS"
ORDERS = "SCOPE.DC-STORES.READ-ORDERS"
PRODUCTS = "SCOPE.DC-STORES.READ-PRODUCTS"
V3_PRODUCTS = "SCOPE.STORES.CATALOG_READ_LIMITED"
CAMPAIGNS = "SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING"
SUBSCRIPTIONS = "SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS"


@pytest.mark.parametrize(
    ("stream", "scopes"),
    [
        ("customers", [CONTACTS]),
        ("orders", [ORDERS]),
        ("carts", [ORDERS]),
        ("products", [PRODUCTS, V3_PRODUCTS]),
        ("events", [CONTACTS]),
        ("email_events", [CAMPAIGNS]),
    ],
)
def test_a_missing_permission_names_the_stream_it_blocks(stream: str, scopes: list[str]) -> None:
    """As a type of its own, which leaves an optional stream out; the others are read."""
    rig = shop()
    rig.world.denied.update(scopes)
    found = reader(rig)
    with pytest.raises(ScopeError):
        found.rows(stream)
    if CONTACTS not in scopes:
        assert len(found.rows("customers")) == 1


def test_contacts_are_read_without_tags_where_labels_may_not_be_listed() -> None:
    """Listing labels takes a right of its own; it is asked for once, and doctor names it."""
    rig = shop()
    rig.world.denied.add(LABELS)
    rig.person("bob@example.com", tags=["Other"])
    rig.settle()
    found = reader(rig)
    pages = found.pages("customers")
    assert len(found.mapped("customers", pages)) == 2
    assert found.mapped("customers", pages, "customer_tags") == []
    found.rows("customers")
    assert found.sent()["QueryLabels"] == 1
    (finding,) = (each for each in found.source.doctor() if each.level == "error")
    assert LABELS in finding.text
    assert "without tags" in finding.text


def test_doctor_tries_each_permission() -> None:
    """All is well: the key, the permissions, and what no key can see."""
    findings = reader(shop()).source.doctor()
    assert [(each.level, each.subject) for each in findings] == [("ok", "key"), ("ok", "permissions"), ("ok", "carts")]
    assert "guests" in findings[-1].text


@pytest.mark.parametrize(
    ("scopes", "subjects", "level"),
    [
        ([CONTACTS], {"contacts", "deleted contacts"}, "error"),
        ([ORDERS], {"orders", "abandoned checkouts"}, "error"),
        ([LABELS], {"labels"}, "error"),
        ([PRODUCTS, V3_PRODUCTS], {"catalogue"}, "warning"),
        ([CAMPAIGNS], {"campaigns"}, "warning"),
        ([SUBSCRIPTIONS], {"consent"}, "warning"),
    ],
)
def test_doctor_names_what_is_missing(scopes: list[str], subjects: set[str], level: str) -> None:
    """The scope's id, what it blocks, and the way out."""
    rig = shop()
    rig.world.denied.update(scopes)
    bad = [each for each in reader(rig).source.doctor() if each.level != "ok"]
    assert {each.subject for each in bad} == subjects
    assert bad[0].level == level
    assert all(scopes[0] in each.text and each.fix for each in bad)


def test_a_key_of_another_site_is_told_once() -> None:
    """Everything is refused, and one line asks for the site's id instead of eight for permissions."""
    with pytest.raises(WrongShop, match=r"^wix: .*the key may do nothing on this site; check that \[store\] site_id"):
        WixSource(connect(_keyed(shop(), SITE_ID.replace("0001", "0002")))).doctor()


def test_doctor_says_that_a_site_has_no_list_of_deleted_contacts() -> None:
    """Version 5 is not there: nothing to grant, deletions take longer to be found."""
    (finding,) = (each for each in reader(shop(v5=False)).source.doctor() if each.level != "ok")
    assert (finding.subject, finding.fix) == ("deleted contacts", "")
    assert "weekly" in finding.text


def test_an_app_on_another_site_is_refused() -> None:
    """A token is for the site of its instance, whatever the config says."""
    rig = shop(app=APP)
    with pytest.raises(WrongShop, match="REGULARS_WIX_INSTANCE_ID"):
        WixSource(connect(_app(rig, SITE_ID.replace("0001", "0002")))).shop()


def test_an_app_without_the_right_to_site_properties_knows_its_instance() -> None:
    """Name and currency stand there too, the zone does not: days are UTC's, and that is said."""
    rig = shop(app=APP)
    rig.api.faults.add("GetSiteProperties", "status", times=0, status=403, body="{}")
    source = WixSource(connect(_app(rig, SITE_ID)))
    found = source.shop()
    assert (found.currency, found.zone, len(found.notes)) == ("EUR", "UTC", 2)
    assert [each.subject for each in source.doctor() if each.level == "warning"] == ["time zone"]


def _keyed(rig: Rig, site_id: str) -> Access:
    secrets = {"REGULARS_WIX_API_KEY": API_KEY}
    return Access(WixSettings(site_id=site_id), secrets, rig.clock, handler_transport(rig.handle))


def _app(rig: Rig, site_id: str) -> Access:
    names = ("REGULARS_WIX_APP_ID", "REGULARS_WIX_APP_SECRET", "REGULARS_WIX_INSTANCE_ID")
    secrets = dict(zip(names, APP, strict=True))
    return Access(WixSettings(site_id=site_id), secrets, rig.clock, handler_transport(rig.handle))
