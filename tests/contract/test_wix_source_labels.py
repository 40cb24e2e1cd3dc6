"""The right to list labels is lost for a while: tags that are stored stay, and are read anew once it is back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from wix_rig import Rig
from wix_source_rig import Reader

from sync.pull.pull import PullReport, pull
from sync.store.engine import Store, open_store

LABELS = "SCOPE.DC-CONTACTS.MANAGE-LABELS"
TAGS = "SELECT email, tag FROM customer_tags t JOIN customers c ON c.id = t.customer_id ORDER BY 1, 2"


def test_tags_stay_while_the_names_of_labels_are_refused(tmp_path: Path) -> None:
    """Segments of tags would lose whoever changes meanwhile, one by one and below every guard."""
    rig = Rig().open()
    ana = rig.person("ana@example.com", tags=["Wholesale"])
    rig.person("bob@example.com", tags=["Press"])
    rig.settle()
    with closing(open_store(tmp_path / "wix.db", clock=rig.clock)) as store:
        _run(rig, store, 1)
        before = [("ana@example.com", "Wholesale"), ("bob@example.com", "Press")]
        assert _tags(store) == before

        rig.world.denied.add(LABELS)
        rig.world.withdraw_consent(ana)
        rig.settle()
        report = _run(rig, store, 2)
        assert _tags(store) == before
        assert report.partly
        assert "customer_tags" in report.notes[0]
        assert not _run(rig, store, 3).partly

        rig.world.denied.clear()
        _run(rig, store, 4)
        assert _tags(store) == before
        assert not _run(rig, store, 5).notes


def _tags(store: Store) -> list[tuple[str, str]]:
    return [tuple(row) for row in store.query(TAGS)]


def _run(rig: Rig, store: Store, run: int) -> PullReport:
    rig.clock.advance(3600)
    source = Reader(rig, requests_per_minute=100_000).source
    return pull(source, store, run_id=run, now=int(rig.clock.now()), zone=ZoneInfo("UTC"), prefix="seg-")
