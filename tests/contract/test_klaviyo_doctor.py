"""What doctor finds out about a Klaviyo key, and that it writes nothing for it."""

from __future__ import annotations

import pytest
from klaviyo_rig import Rig

from connector.klaviyo.sandbox import ALL_SCOPES

GOOD = [
    "the key has accounts:read",
    "the key has profiles:read",
    "the key has lists:read",
    "the key has flows:read, lists:read",
    "the key has lists:write",
    "the key has profiles:write",
    "the key cannot change anybody's consent",
]


def texts(rig: Rig, level: str) -> list[str]:
    return [finding.text.partition(" (")[0] for finding in rig.destination.doctor() if finding.level == level]


def test_a_key_as_it_should_be() -> None:
    """Every scope is tried once, those that write too; what a list's flows are shows once there is a list."""
    rig = Rig()
    assert texts(rig, "ok") == [line for line in GOOD if "flows" not in line]
    rig.audience()
    assert texts(rig, "ok") == GOOD
    assert texts(rig, "error") == texts(rig, "warning") == []


def test_trying_the_scopes_writes_nothing() -> None:
    """With all scopes there are, consent included: no list, no profile, no event, and consent as it was."""
    rig = Rig(settings={"mode": "both", "events": True}, scopes=[*ALL_SCOPES, "subscriptions:write"])
    rig.account.unsubscribe(rig.account.add_person("out@example.org", consent="SUBSCRIBED"))
    before = (rig.account.consent_states(), dict(rig.account.writes), [*rig.account.lists], [*rig.account.metrics])

    rig.destination.doctor()

    after = (rig.account.consent_states(), dict(rig.account.writes), [*rig.account.lists], [*rig.account.metrics])
    assert before == after
    assert {reply.status for name, _, reply in rig.seen if reply and not name.startswith("GET")} == {400, 404}


def test_a_key_that_could_change_consent_is_warned_about() -> None:
    """With the way out."""
    rig = Rig(scopes=[*ALL_SCOPES, "subscriptions:write"])

    (finding,) = [each for each in rig.destination.doctor() if each.level == "warning"]

    assert finding.text.startswith("the key has subscriptions:write: it could subscribe people")
    assert finding.fix == "create a private key without subscriptions:write"


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES - {"accounts:read"}))
def test_each_missing_scope_is_found(scope: str) -> None:
    """Before the first write needs it; the fix names it."""
    rig = Rig(settings={"events": True}, scopes=ALL_SCOPES - {scope})
    rig.audience()

    missing = [finding for finding in rig.destination.doctor() if finding.level == "error"]

    assert missing
    assert all(scope in finding.text and scope in finding.fix for finding in missing)


def test_scopes_of_events_are_asked_for_only_where_events_are_sent() -> None:
    """A key for lists alone does not need them."""
    rig = Rig(scopes=ALL_SCOPES - {"events:write", "metrics:read"})

    assert texts(rig, "error") == []
    assert not {"POST /api/events", "GET /api/metrics"} & set(rig.names())


def test_scopes_of_lists_are_not_asked_for_where_there_are_none() -> None:
    """Only properties: a key without lists is good."""
    rig = Rig(settings={"mode": "properties"}, scopes={"accounts:read", "profiles:read", "profiles:write"})

    assert texts(rig, "error") == []


def test_a_missing_lists_scope_leaves_the_rest_tried() -> None:
    """Its flows cannot be asked for; the scopes behind it are."""
    rig = Rig(scopes=ALL_SCOPES - {"lists:read"})

    assert texts(rig, "error") == ["the key lacks lists:read"]
    assert "the key has profiles:write" in texts(rig, "ok")
