"""Every command on a shop that was synced once: what it prints, its machine form, its exit code, its files."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from checks import check_private, check_remote_sides
from shop import Ran, TestShop, open_shop

STREAM = {"stream", "read", "new", "changed", "unchanged", "quarantined", "pages", "calls"}
AUDIENCE = {"destination", "segment", "name", "matched", "size", "add", "remove", "skipped"}
EARLIER = "2026-06-01T00:00:00Z"


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestShop, Ran]]:
    """A small shop after its first sync, with what that printed."""
    with open_shop(tmp_path_factory.mktemp("commands") / "project", customers=60) as shop:
        ran = shop.call("sync", "--json")
        assert (ran.code, ran.err) == (0, "")
        yield shop, ran


@pytest.fixture
def shop(synced: tuple[TestShop, Ran]) -> TestShop:
    """The same shop, to be read only."""
    return synced[0]


@pytest.fixture
def changeable(tmp_path: Path) -> Iterator[TestShop]:
    """A shop of its own, derived but not written anywhere yet."""
    with open_shop(tmp_path / "project", customers=20) as made:
        assert made.call("pull").code == 0
        assert made.call("derive").code == 0
        yield made


def answer(shop: TestShop, *words: str) -> Ran:
    """A command that must succeed in silence on stderr."""
    ran = shop.call(*words)
    assert (ran.code, ran.err) == (0, ""), ran
    return ran


def a_member(shop: TestShop, segment: str = "loyal") -> int:
    """Somebody in the segment whose address is theirs alone."""
    rows = shop.query(f"SELECT customer_id FROM membership WHERE segment = '{segment}' ORDER BY 1")
    people = [shop.world.customers[row[0]] for row in rows]
    return next(p.number for p in people if p.email and len(shop.world.by_email(p.email)) == 1)


def test_sync_tells_what_it_did(synced: tuple[TestShop, Ran]) -> None:
    """The keys of the contract; every stream, segment and destination once."""
    shop, ran = synced
    found = ran.json()
    assert {"run", "exit", "streams", "metrics", "segments", "destinations", "seconds"} <= found.keys()
    assert (found["run"], found["exit"]) == (1, 0)
    assert [its["stream"] for its in found["streams"]] == ["customers", "orders", "carts"]
    for its in found["streams"]:
        assert its.keys() == STREAM
        assert its["read"] == its["new"] + its["changed"] + its["unchanged"] + its["quarantined"]
    assert found["metrics"]["recomputed"] == len(shop.world.customers)
    for its in found["segments"]:
        assert {"key", "size", "entered", "left"} <= its.keys()
    written = {its["destination"]: its for its in found["destinations"]}
    assert written.keys() == {"tags", "klaviyo", "mailchimp"}
    assert written["tags"]["added"] == sum(map(len, shop.our_tags().values()))
    assert written["klaviyo"]["added"] == sum(map(len, shop.lists().values()))
    assert written["mailchimp"]["added"] == sum(map(len, shop.mail_tags().values()))
    check_remote_sides(shop)


def test_nothing_private_is_kept_or_printed(synced: tuple[TestShop, Ran]) -> None:
    """No secret and no address in reports; the folder's files are the owner's alone."""
    shop, ran = synced
    check_private(ran.out, shop)
    for (report,) in shop.query("SELECT report FROM sync_run"):
        check_private(report, shop)
    for name in (".env", "regulars.toml", "regulars.db"):
        assert (shop.folder / name).stat().st_mode & 0o077 == 0, name
    for beside in shop.folder.glob("regulars.db*"):
        assert beside.stat().st_mode & 0o077 == 0, beside.name


def test_the_text_of_a_sync_names_what_was_read_and_written(changeable: TestShop) -> None:
    """Dry: the plan stands last and ends with the next command, and nothing is written; then the sync itself."""
    dry = answer(changeable, "sync", "--dry-run")
    assert changeable.writes == 0
    assert "payment-failed" not in dry.out
    *_, following, _, last = dry.out.splitlines()
    assert following.startswith("Next: regulars apply ")
    assert last == "Dry run: nothing was written."
    assert "Tags carry no consent" in dry.out
    text = answer(changeable, "sync").out
    for word in ("customers", "orders", "carts", "metrics: ", "written to", "tags", "klaviyo", "run "):
        assert word in text
    again = answer(changeable, "sync").out
    assert "nothing to write" in again
    check_private(text, changeable)


def test_the_steps_one_by_one(changeable: TestShop) -> None:
    """Plan in JSON, exit 10 with changes; apply by its id; exit 0 and no changes afterwards; the same plan is stale."""
    plan = answer(changeable, "plan", "--json").json()
    assert {"id", "now", "guards", "audiences", "calls_estimated"} <= plan.keys()
    for its in plan["audiences"]:
        assert its.keys() >= AUDIENCE
        assert its["matched"] == its["size"] + sum(its["skipped"].values())
    again = changeable.call("plan", "--detailed-exitcode")
    assert (again.code, again.err) == (10, "")
    assert f"Next: regulars apply {plan['id']}" in again.out
    assert changeable.writes == 0
    done = answer(changeable, "apply", plan["id"], "--json").json()
    added = {its["destination"]: its["added"] for its in done["destinations"]}
    for name, number in added.items():
        assert number == sum(its["add"] for its in plan["audiences"] if its["destination"] == name)
    check_remote_sides(changeable)
    assert changeable.call("plan", "--detailed-exitcode").code == 0
    answer(changeable, "apply")


def test_a_stale_plan_is_not_applied(changeable: TestShop) -> None:
    """Exit 5, why, and what to do; nothing is written."""
    plan = answer(changeable, "plan", "--json").json()["id"]
    (changeable.folder / "segments.toml").write_text('[segment.big]\nwhere = "number_of_orders >= 2"\n')
    ran = changeable.call("apply", plan)
    assert (ran.code, ran.out) == (5, "")
    assert ran.err == f"plan {plan} is stale: the configuration changed since it was made; run `regulars plan` again\n"
    assert changeable.writes == 0


def test_pull_and_derive_tell_their_part(changeable: TestShop) -> None:
    """A second time: the same JSON as sync, nothing new, and no write."""
    pulled = answer(changeable, "pull", "--json").json()
    assert all(its["new"] == 0 for its in pulled["streams"])
    assert pulled["destinations"] == []
    derived = answer(changeable, "derive", "--json").json()
    assert derived["streams"] == []
    assert all(its["entered"] == its["left"] == 0 for its in derived["segments"])
    only = answer(changeable, "pull", "--only-streams", "orders", "--json").json()
    assert [its["stream"] for its in only["streams"]] == ["orders"]
    assert changeable.writes == 0


def test_derive_as_of_prints_sizes_and_writes_nothing(shop: TestShop) -> None:
    """Sizes as they were; what has no history is named once on stderr; the database stays as it is."""
    before = shop.query("SELECT * FROM customer_metrics ORDER BY 1"), shop.query("SELECT count(*) FROM sync_run")
    ran = shop.call("derive", "--as-of", EARLIER, "--json")
    assert ran.code == 0
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("as of 2026-06-01 02:00; without history, so as last read: ")
    sizes = {its["key"]: its["size"] for its in ran.json()}
    assert sizes["repeat"] > 0
    members = shop.call("segments", "members", "repeat", "--as-of", EARLIER)
    assert len(members.out.split()) == sizes["repeat"]
    listed = {its["key"]: its["size"] for its in shop.call("segments", "list", "--as-of", EARLIER, "--json").json()}
    assert {key: listed[key] for key in sizes} == sizes
    after = shop.query("SELECT * FROM customer_metrics ORDER BY 1"), shop.query("SELECT count(*) FROM sync_run")
    assert after == before


def test_segments_list_and_members_agree(shop: TestShop) -> None:
    """Sizes are numbers of members, in every form; unanswerable ones have none and say why on stderr."""
    rows = {its["key"]: its for its in answer(shop, "segments", "list", "--json").json()}
    loyal = rows["loyal"]
    assert loyal["push"] == ["tags", "klaviyo", "mailchimp"]
    listed = answer(shop, "segments", "members", "loyal", "--json").json()
    assert len(listed) == loyal["size"] > 0
    assert set(listed) <= {str(number) for number in shop.world.customers}
    assert answer(shop, "segments", "members", "loyal").out.split() == listed
    table = list(csv.reader(io.StringIO(answer(shop, "segments", "members", "loyal", "--format", "csv").out)))
    assert table == [["customer_id"], *([number] for number in listed)]
    assert rows["payment-failed"]["size"] is None
    text = shop.call("segments", "list")
    assert max(map(len, text.out.splitlines())) <= 100
    assert re.search(r"^payment-failed +n/a ", text.out, re.MULTILINE)
    assert "payment-failed cannot be answered" in text.err
    refused = shop.call("segments", "members", "payment-failed")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("segment payment-failed cannot be answered: ")


def test_segments_show_and_check(shop: TestShop) -> None:
    """Condition, words, SQL and size; every segment compiles and holds its test people."""
    shown = answer(shop, "segments", "show", "loyal", "--json").json()
    known = {"key", "name", "where", "meaning", "sql", "params", "reads", "size", "missing", "place"}
    assert known | {"sentence", "pack", "goal", "push", "stages"} == shown.keys()
    assert "SELECT" in shown["sql"]
    text = answer(shop, "segments", "show", "loyal").out
    assert shown["where"] in text
    assert "    loyal: 3 orders or more in at least 2 quarters, the last no longer ago than 1.5 times" in text
    assert "    built-in pack lifecycle\n" in text
    assert "SELECT" not in text
    assert "    :param_1 = 'loyal'" in answer(shop, "segments", "show", "loyal", "--sql").out
    assert max(map(len, text.splitlines())) <= 100
    checked = answer(shop, "segments", "check", "--json").json()
    assert checked["failures"] == []
    assert checked["segments"] == len(answer(shop, "segments", "list", "--json").json())
    said = answer(shop, "segments", "check").out
    assert said == f"{checked['segments']} segments are fine (0 of your own); {checked['people']} test cases passed\n"
    unknown = shop.call("segments", "show", "loyl")
    assert (unknown.code, unknown.out) == (2, "")
    assert unknown.err == "no segment 'loyl'; did you mean 'loyal'? `regulars segments list` shows all\n"


def test_what_was_never_counted_is_not_nobody(changeable: TestShop) -> None:
    """A segment that came after the last derivation has no size, and says what gives it one."""
    (changeable.folder / "segments.toml").write_text('[segment.big]\nwhere = "number_of_orders >= 2"\n')
    hint = "not counted yet; run `regulars derive`"
    listed = changeable.call("segments", "list")
    assert re.search(r"^big +not yet ", listed.out, re.MULTILINE)
    assert listed.err.splitlines()[-1] == f"1 segment (big): {hint}"
    rows = {its["key"]: its["size"] for its in answer(changeable, "segments", "list", "--json").json()}
    assert rows["big"] is None
    assert f"People\n    {hint}\n" in answer(changeable, "segments", "show", "big").out
    refused = changeable.call("segments", "members", "big")
    assert (refused.code, refused.out, refused.err) == (1, "", f"segment big: {hint}\n")
    answer(changeable, "derive")
    assert len(answer(changeable, "segments", "members", "big").out.split()) > 0


def test_a_destination_that_does_not_exist_is_refused(changeable: TestShop) -> None:
    """By the check as by everything that compiles; the nearest name is offered."""
    own = '[segment.big]\nwhere = "number_of_orders >= 2"\npush = ["tags", "klavyo"]\n'
    (changeable.folder / "segments.toml").write_text(own)
    ran = changeable.call("segments", "check")
    assert (ran.code, ran.out) == (1, "")
    fault = "unknown destination 'klavyo' in push; did you mean 'klaviyo'?"
    assert ran.err == f'segments.toml:3 segment "big": {fault}\n'


def test_export_in_both_formats(shop: TestShop, tmp_path: Path) -> None:
    """The same people and the same columns; a segment's alone; a file is private and whole."""
    table = list(csv.DictReader(io.StringIO(answer(shop, "customers", "export").out)))
    lines = [json.loads(line) for line in answer(shop, "customers", "export", "--format", "jsonl").out.splitlines()]
    assert {row["customer_id"] for row in table} == {str(number) for number in shop.world.customers}
    assert [str(row["customer_id"]) for row in lines] == [row["customer_id"] for row in table]
    assert set(table[0]) == set(lines[0])
    assert {"number_of_orders", "amount_spent", "lifecycle_stage"} <= set(table[0])
    file = tmp_path / "loyal.csv"
    ran = shop.call("customers", "export", "--segment", "loyal", "--output", str(file))
    assert (ran.code, ran.out) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    written = [row["customer_id"] for row in csv.DictReader(io.StringIO(file.read_text("utf-8")))]
    assert written == answer(shop, "segments", "members", "loyal").out.split()
    assert ran.err == f"{len(written):,} customers written to {file}\n"
    assert list(tmp_path.iterdir()) == [file]
    earlier = shop.call("customers", "export", "--as-of", EARLIER)
    assert earlier.code == 0
    past = {row["customer_id"]: int(row["number_of_orders"]) for row in csv.DictReader(io.StringIO(earlier.out))}
    now = {row["customer_id"]: int(row["number_of_orders"]) for row in table}
    assert sum(past.values()) < sum(now.values())


def test_why_by_id_and_by_address(shop: TestShop) -> None:
    """The same answer both ways; one segment or all; the clauses carry the person's values."""
    person = a_member(shop)
    found = answer(shop, "why", str(person), "loyal", "--json").json()
    [its] = found
    assert (its["key"], its["member"], its["customer_id"]) == ("loyal", True, str(person))
    assert its["clause"]["truth"] is True
    assert [event["entered"] for event in its["history"]] == [True]
    address = str(shop.world.customers[person].email)
    assert answer(shop, "why", address, "loyal", "--json").json() == found
    everything = answer(shop, "why", str(person)).out
    assert f"{person} is in loyal (Loyal customers)" in everything
    assert "Not in: " in everything
    assert everything.splitlines()[0].endswith(f"customer {person}")
    assert max(map(len, everything.splitlines())) <= 100
    check_private(everything, shop)
    past = shop.call("why", str(person), "loyal", "--as-of", EARLIER, "--json")
    assert past.code == 0
    nobody = shop.call("why", "nobody@nowhere.example", "loyal")
    assert (nobody.code, nobody.out) == (2, "")
    assert nobody.err == "why: no customer with that id or address; ids are those of the store's admin\n"


def test_status_reads_stored_rows_only(shop: TestShop) -> None:
    """Runs, streams, queue and refusals, without a call."""
    calls = shop.requests()
    found = answer(shop, "status", "--json").json()
    assert {
        "shop",
        "runs",
        "streams",
        "excluded_orders",
        "queue",
        "refused",
        "quarantined",
        "unavailable",
    } <= found.keys()
    assert found["runs"][-1]["exit"] == 0
    assert found["queue"] == found["refused"] == found["quarantined"] == []
    rows = {its["stream"]: its["rows"] for its in found["streams"]}
    assert rows["customers"] == len(shop.world.customers)
    text = answer(shop, "status").out
    assert "Runs" in text
    assert re.search(r"^customers +\d+  \d{4}-\d\d-\d\d \d\d:\d\d ", text, re.MULTILINE)
    assert re.search(r"^\d+ orders? in USD \([\d.]+ USD in all\)", text, re.MULTILINE) or "in USD" not in text
    check_private(text, shop)
    assert shop.requests() == calls


def test_status_says_what_cannot_be_seen(changeable: TestShop) -> None:
    """Streams that the key may not read with the platform's word, and what the platform shows to nobody."""
    refused, unseen = "shopify: products: access denied", "carts of guests who gave no address"
    with sqlite3.connect(changeable.folder / "regulars.db") as database:
        database.execute("INSERT INTO stream_state (stream) VALUES ('products')")
        database.execute("INSERT INTO meta VALUES ('unreadable', json_object('products', ?))", (refused,))
        database.execute(
            "UPDATE meta SET value = json_set(value, '$.notes', json_array(?)) WHERE key = 'shop'", (unseen,)
        )
    database.close()
    found = answer(changeable, "status", "--json").json()
    assert found["unseen"] == [unseen]
    assert "notes" not in found["shop"]
    assert {its["stream"]: its["unreadable"] for its in found["streams"] if its["unreadable"]} == {"products": refused}
    text = answer(changeable, "status").out
    assert f"products: not readable: {refused}" in text
    assert f"Cannot be seen: {unseen}" in text


def test_a_held_run_says_why_once(changeable: TestShop) -> None:
    """On stdout with the plan, in one line on stderr; the status keeps it."""
    answer(changeable, "sync")
    edited = changeable.config.read_text().replace("[tags]", "[guards]\naccept = []\n\n[tags]")
    changeable.config.write_text(edited.replace('"lifecycle", ', "").replace("packs = [", 'packs = ["lifecycle", '))
    own = '[segment.loyal]\nname = "Loyal customers"\nwhere = "number_of_orders >= 1"\n'
    (changeable.folder / "segments.toml").write_text(own)
    ran = changeable.call("sync", "--no-pull")
    assert ran.code == 5
    [line] = ran.err.splitlines()
    assert line.endswith("and not written; `regulars plan` says why and what lets them pass")
    assert "definition-changed" in line
    assert ran.out.count("tags: loyal: its condition has changed") == 1
    held = answer(changeable, "status", "--json").json()["held"]
    assert {its["run"] for its in held} == {4}
    assert all(its["text"].split(": ")[1] == "loyal" for its in held)
    assert "Held by run 4, not written" in answer(changeable, "status").out


def test_doctor_finds_nothing_wrong(shop: TestShop) -> None:
    """Every finding is good, in both forms, and nothing is written."""
    writes = shop.writes
    found = answer(shop, "doctor", "--json").json()
    assert {its["level"] for its in found} <= {"ok", "warning"}
    assert {"key", "scopes", "tags", "klaviyo", "segments", "disk", "schedule"} <= {its["subject"] for its in found}
    assert "FAIL" not in answer(shop, "doctor").out
    assert shop.writes == writes


def test_retiring_a_segment_empties_its_audiences(changeable: TestShop) -> None:
    """Left alone when it is only gone from the configuration; emptied once it is retired; the list itself stays."""
    config = changeable.config.read_text()
    changeable.config.write_text(config.replace('"lifecycle", ', ""))
    own = changeable.folder / "segments.toml"
    own.write_text('[segment.big]\nname = "Big"\nwhere = "number_of_orders >= 2"\n')
    answer(changeable, "derive")
    answer(changeable, "apply")
    assert any("seg-big" in tags for tags in changeable.our_tags().values())
    configured = changeable.call("segments", "retire", "big")
    assert (configured.code, configured.out) == (2, "")
    assert "segment 'big' is still configured" in configured.err
    own.write_text("")
    answer(changeable, "derive")
    text = answer(changeable, "plan").out
    assert "Retired, left as they are until `regulars segments retire KEY`" in text
    answer(changeable, "apply")
    assert any("seg-big" in tags for tags in changeable.our_tags().values())
    retired = answer(changeable, "segments", "retire", "big")
    places = 'klaviyo list "Regulars: Big" and mailchimp tag "seg:big" and tag "seg-big"'
    assert f"everybody will leave {places}; what is emptied stays" in retired.out
    answer(changeable, "apply")
    assert not any("seg-big" in tags for tags in changeable.our_tags().values())
    assert changeable.lists()["Regulars: Big"] == changeable.mail_tags()["seg:big"] == set()
