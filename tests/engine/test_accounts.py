"""A database whose key, audience or site was exchanged for another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeScanned
from plan_rig import PlanRig, Wish

from sync.errors import Held, StoreError
from sync.push.accounts import claim

VIP = Wish("vip", "VIPs")


@pytest.fixture
def mail() -> FakeScanned:
    mail = FakeScanned()
    mail.profiles = {f"p{number}@example.com": f"X{number}" for number in (1, 2)}
    return mail


@pytest.fixture
def rig(tmp_path: Path, mail: FakeScanned) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [mail]
    rig.people(range(1, 4))
    rig.segment(VIP, range(1, 4))
    claim(rig.store, rig.destinations)
    yield rig
    rig.store.close()


def elsewhere() -> FakeScanned:
    """Another account: person 2 has unsubscribed there, person 3 is known, person 1 is not."""
    other = FakeScanned()
    other.owner = "B2"
    other.profiles = {f"p{number}@example.com": f"X{number}" for number in (2, 3)}
    other.barred = {"p2@example.com": "unsubscribed"}
    return other


def test_a_ledger_is_not_applied_to_another_account(rig: PlanRig, mail: FakeScanned) -> None:
    """Whoever is in audiences of the first would be taken for a member at the second."""
    rig.sync()
    rig.destinations = [elsewhere()]
    with pytest.raises(StoreError, match="2 entries of the ledger are about mail account A1, and B2 is configured"):
        claim(rig.store, rig.destinations)
    rig.destinations = [mail]
    claim(rig.store, rig.destinations)
    assert not rig.plan().pending


def test_an_account_where_nothing_was_written_may_be_exchanged(rig: PlanRig) -> None:
    """A mistyped audience: nothing that was learnt of it, consent least of all, is believed of the next."""
    shown = rig.plan()
    other = elsewhere()
    rig.destinations = [other]
    claim(rig.store, rig.destinations)
    with pytest.raises(Held, match="was replaced"):
        rig.apply_shown(shown)
    rig.sync()
    assert other.state() == {"Regulars: VIPs": ["X3"]}
    assert rig.ledger("mail") == {"vip": [3]}
