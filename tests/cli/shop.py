"""A shop for tests: a world, its simulators on loopback, a project folder, and the command run against them."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import hurried
from sides import ShopifySide, StoreSide, WixSide, known_people, mailers, store_side

from connector.base import Clock
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.sandbox.faults import Faults
from connector.sandbox.records import Customer
from connector.sandbox.serve import serving
from connector.sandbox.world import World
from connector.shopify.sandbox import ShopifySandbox
from connector.wix.sandbox import WixSandbox
from sync.cli.sandbox import install, write_project
from sync.clock import SystemClock


class QuickClock:
    """Real time in which waiting takes a hundredth."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / 100)


class PinnedClock(QuickClock):
    """Begins at the same instant in every run and moves only by waiting: runs can be compared to the letter."""

    def __init__(self, start: float) -> None:
        self.at = start

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.at += max(0.0, seconds)


COMMAND = (sys.executable, str(Path(__file__).with_name("hurried.py")))
FAST = 1000.0


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its machine form."""
        return json.loads(self.out)


@dataclass
class TestShop:
    """The world and all remote sides, open to a test's hands."""

    __test__ = False

    world: World
    store: StoreSide
    klaviyo: KlaviyoSandbox
    mailchimp: MailchimpSandbox
    folder: Path
    faults: Faults
    env: Mapping[str, str] = field(default_factory=dict)

    def copied_to(self, folder: Path) -> Self:
        """The same shop seen from a new project folder: the same files, no database."""
        folder.mkdir()
        for name in ("regulars.toml", ".env", "segments.toml"):
            (folder / name).write_bytes((self.folder / name).read_bytes())
        return replace(self, folder=folder)

    @property
    def shopify(self) -> ShopifySandbox:
        """The store, of a Shopify shop."""
        assert isinstance(self.store, ShopifySide)
        return self.store.simulator

    @property
    def wix(self) -> WixSandbox:
        """The store, of a Wix shop."""
        assert isinstance(self.store, WixSide)
        return self.store.simulator

    @property
    def config(self) -> Path:
        return self.folder / "regulars.toml"

    def run(self, *words: str, prelude: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Ran:
        """`regulars WORDS` in a process of its own, with this folder's config."""
        command = [*(prelude or COMMAND), *words]
        surroundings = {k: v for k, v in os.environ.items() if not k.startswith("REGULARS_")}
        surroundings |= {"REGULARS_CONFIG": str(self.config), **self.env, **(env or {})}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=surroundings,
            timeout=600,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def call(self, *words: str, env: Mapping[str, str] | None = None) -> Ran:
        """The same command in this process, which saves the start of another; what it waits is spent as little."""
        surroundings = {"REGULARS_CONFIG": str(self.config), **self.env, **(env or {})}
        before = {name: os.environ.get(name) for name in surroundings}
        arguments, sys.argv = sys.argv, ["regulars", *words]
        os.environ.update(surroundings)
        code: Any = 0
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                hurried.main()
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            sys.argv = arguments
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        return Ran(code, out.getvalue(), err.getvalue())

    def sync(self, *words: str) -> Any:
        """A sync that must succeed; its JSON."""
        ran = self.run("sync", "--json", *words)
        assert ran.code == 0, f"exit {ran.code}: {ran.err}\n{ran.out[-2000:]}"
        return ran.json()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the database as the command left it."""
        with closing(sqlite3.connect(self.folder / "regulars.db")) as connection:
            return connection.execute(sql).fetchall()

    def people(self) -> dict[int, Customer]:
        """Everybody alive, by the key by which the database knows them."""
        return known_people(self.world, self.store)

    def consent(self) -> dict[str, dict[str, str]]:
        """Per side what is held of everybody's consent."""
        return {
            self.store.platform: {str(its.number): its.email_consent for its in self.world.customers.values()},
            "klaviyo": {its.email: its.consent for its in self.klaviyo.account.people.values()},
            "mailchimp": {its.address: its.status for its in self.mailchimp.audience.members.values()},
        }

    def our_tags(self) -> dict[int, set[str]]:
        """Per person of the world the tags (or labels) of our prefix."""
        found = {}
        for person in self.world.customers.values():
            mine = {tag for tag in self.store.labels(person) if tag.startswith("seg-")}
            if mine:
                found[person.number] = mine
        return found

    def other_tags(self) -> dict[int, set[str]]:
        """Per person of the world the tags (or labels) that are not ours."""
        return {
            person.number: {tag for tag in self.store.labels(person) if not tag.startswith("seg-")}
            for person in self.world.customers.values()
        }

    def lists(self) -> dict[str, set[str]]:
        """Per Klaviyo list the addresses of its members."""
        account = self.klaviyo.account
        account.settle()
        return {
            roll.name: {account.people[member].email.lower() for member in roll.members}
            for roll in account.lists.values()
        }

    def mail_tags(self) -> dict[str, set[str]]:
        """Per tag of Mailchimp that is ours the addresses that carry it."""
        audience = self.mailchimp.audience
        return {
            tag.name: {member.address.lower() for member in tag.members}
            for tag in audience.segments.values()
            if tag.kind == "static" and tag.name.startswith("seg:")
        }

    @property
    def writes(self) -> int:
        """Everything all sides were asked to change; what was refused at the door is not in it."""
        asked = (self.klaviyo.account.writes, self.mailchimp.writes)
        return self.store.asked_to_write() + sum(counts.total() for counts in asked)

    def requests(self) -> int:
        """Requests so far, to all."""
        return self.store.requests() + self.klaviyo.requests.total() + self.mailchimp.requests.total()


@contextmanager
def open_shop(
    folder: Path,
    world: World | None = None,
    *,
    platform: str = "shopify",
    clock: Clock | None = None,
    seed: int = 5,
    customers: int = 300,
) -> Iterator[TestShop]:
    """Serve a shop and write its project folder."""
    clock = clock or SystemClock()
    world = world or World.generate(seed=seed, customers=customers, now=int(clock.now()), clock=clock)
    faults = Faults()
    installed = install(world, clock=clock, scale=FAST, faults=faults)
    with serving([place.simulator for place in installed.values()]) as servers:
        urls = {name: server.url for name, server in zip(installed, servers, strict=True)}
        write_project(folder, installed, urls, platform)
        yield TestShop(world, store_side(installed, platform), *mailers(installed), folder, faults)
