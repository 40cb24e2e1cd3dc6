"""What doctor says of a Wix key: each permission is tried live, and what nobody may see is said."""

from __future__ import annotations

import pytest
from wix_source_rig import reader, shop

CONTACTS = "SCOPE.DC-CONTACTS.READ-CONTACTS"
LABELS = "SCOPE.DC-CONTACTS.MANAGE-LABELS"
ORDERS = "SCOPE.DC-STORES.READ-ORDERS"
PRODUCTS = "SCOPE.DC-STORES.READ-PRODUCTS"
V3_PRODUCTS = "SCOPE.STORES.CATALOG_READ_LIMITED"
CAMPAIGNS = "SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING"
SUBSCRIPTIONS = "SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS"


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


def test_doctor_says_that_a_site_has_no_list_of_deleted_contacts() -> None:
    """Version 5 is not there: nothing to grant, deletions take longer to be found."""
    (finding,) = (each for each in reader(shop(v5=False)).source.doctor() if each.level != "ok")
    assert (finding.subject, finding.fix) == ("deleted contacts", "")
    assert "weekly" in finding.text
