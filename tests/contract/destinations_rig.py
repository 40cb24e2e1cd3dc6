"""Every destination in one shape: the real adapter before its simulator, thirty people, and hands at the platform."""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from connector.base import Audience, Batch, Destination, Receipt, Reply
from connector.errors import PlatformError
from connector.sandbox.faults import Faults
from connector.sandbox.wire import Request, Simulator

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from plan_rig import PlanRig, Wish

from sync.push.plan import Plan
from sync.push.report import ApplyReport

VIP = Wish("vip", "VIPs")
SAID = "The request about somebody@example.org is not acceptable."
HTML = "<!DOCTYPE html><html><body><h1>Sorry</h1></body></html>"
_ADDRESS = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+\.\w+")


class Watched:
    """The destination as it is, with an eye on its receipts: exactly one for each op, in any order."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self.receipts: list[Receipt] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._destination, name)

    def push(self, batch: Batch) -> list[Receipt]:
        receipts = self._destination.push(batch)
        assert sorted(its.op for its in receipts) == sorted(op.id for op in batch.ops)
        self.receipts += receipts
        return receipts


class Place(ABC):
    """One destination, with the store of a shop whose people it holds (`strangers` excepted).

    `first` and `changing` are the simulator's names of what writes members at the first fill and later, `call` is ours
    of the latter; `writing` is all that changes something, `reading` what a run asks; `creating` makes an audience,
    `stuck` is a fault of jobs with the call that begins them. `consented`: consent counts. `returns`: somebody deleted
    there is made anew. `html_403` is the exit code of a 403 without JSON.
    `instead` may answer in the simulator's place; `answer` is that to the last request that was to change something.
    """

    title: ClassVar[str]
    kind: ClassVar[str]
    call: ClassVar[str]
    first: ClassVar[str]
    changing: ClassVar[str]
    writing: ClassVar[tuple[str, ...]]
    reading: ClassVar[tuple[str, ...]]
    creating: ClassVar[str] = ""
    stuck: ClassVar[tuple[str, str] | None] = None
    consented: ClassVar[bool] = True
    returns: ClassVar[bool] = False
    html_403: ClassVar[int] = 1
    strangers: ClassVar[range] = range(0)
    secret: str

    def __init__(self, path: Path) -> None:
        self.rig = PlanRig(path)
        self.clock = self.rig.clock
        self.faults = Faults()
        self.instead: Callable[[Request], Reply | None] = lambda request: None
        self.answer: Reply | None = None
        self.said: list[str] = []
        self.addresses: dict[int, str] = {}
        self.simulator = self.set_up([f"p{number}@example.org" for number in range(30)])
        self.keys = list(self.addresses)
        for number, address in self.addresses.items():
            self.rig.people([number], email_key=address.lower())
        self.destination = Watched(self.open())
        self.rig.destinations = [self.destination]
        self._consent = self.consent()

    # the platform's own side

    @abstractmethod
    def set_up(self, addresses: Sequence[str]) -> Simulator:
        """The platform with these people on it; fills `addresses` by our keys."""

    @abstractmethod
    def open(self) -> Destination:
        """The adapter, as the registry makes it."""

    @abstractmethod
    def counts(self) -> Counter[str]:
        """Requests so far by the simulator's name of the operation."""

    @abstractmethod
    def members(self) -> set[int]:
        """Who is in our audience in truth."""

    @abstractmethod
    def joined(self) -> Counter[int]:
        """How often each person came into our audience, or was sent into an automation for it."""

    @abstractmethod
    def consent(self) -> Mapping[str, Any]:
        """What the platform holds of consent, by person; "written" is what anybody asked to be written about it."""

    @abstractmethod
    def names(self) -> list[str]:
        """What audiences there are called."""

    @abstractmethod
    def delete(self, number: int) -> None:
        """The person is deleted there."""

    def forget(self, number: int) -> None:
        """The person is deleted there, and cannot be made anew."""
        self.delete(number)

    @abstractmethod
    def readdress(self, number: int, address: str) -> None:
        """The person has this address there, written as it is."""

    def refuse(self, number: int) -> None:
        """Of a request that names several people, this one is not carried out."""
        raise NotImplementedError

    def suppress(self, number: int) -> None:
        """The platform may not mail them any more: a bounce, or a complaint."""
        raise NotImplementedError

    def unsubscribe(self, number: int) -> None:
        """The person opts out there."""
        raise NotImplementedError

    def add_audience(self, name: str) -> None:
        """Somebody makes one by hand."""
        raise NotImplementedError

    def rename(self, name: str) -> None:
        """Somebody calls our audience something else."""
        raise NotImplementedError

    def drop(self) -> None:
        """Somebody deletes our audience."""
        raise NotImplementedError

    def marks(self, number: int) -> tuple[str, ...]:
        """By what requests name the person."""
        return (self.addresses[number],)

    @abstractmethod
    def refusal(self) -> Reply:
        """A 400 that names neither part nor person of the request, but quotes an address."""

    @abstractmethod
    def request_id(self, reply: Reply) -> str | None:
        """What the platform's support would ask for."""

    # what tests do

    @contextmanager
    def hands(self) -> Iterator[None]:
        """What changes in this block, hands at the platform do: consent is as it was until then."""
        self.check_consent()
        yield
        self._consent = self.consent()

    def check_consent(self) -> None:
        """Consent of everybody who was there is, to the byte, what it was."""
        now = self.consent()
        assert _bytes({name: now.get(name) for name in self._consent}) == _bytes(self._consent)

    def fill(self) -> None:
        """The first twenty are in the audience, and hours have passed."""
        self.want(self.keys[:20])
        assert self.sync().exit_code == 0, self.said[-1]
        self.later()

    def want(self, numbers: Iterable[int]) -> None:
        self.rig.segment(VIP, numbers)

    def later(self, hours: float = 2) -> None:
        self.rig.later(hours)
        self.rig.read(self.rig.now)

    def sync(self, *force: str, adopt: bool = False) -> ApplyReport:
        return self.apply(self.plan(*force, adopt=adopt))

    def plan(self, *force: str, adopt: bool = False) -> Plan:
        with self._listening():
            return self.rig.plan(*force, adopt=adopt)

    def apply(self, plan: Plan) -> ApplyReport:
        with self._listening():
            report = self.rig.apply(plan)
        self.said += [json.dumps(report.to_json()), *(repr(its.error) for its in report.destinations)]
        return report

    def writes(self) -> int:
        """Requests so far that change something there."""
        return sum(self.counts()[name] for name in self.writing)

    def audience(self) -> Audience:
        """Ours, as the store remembers it."""
        [(name, remote_id)] = self.rig.rows("SELECT name, remote_id FROM audience")
        return Audience("vip", name, remote_id)

    def writes_in(self, request: Request) -> bool:
        """Whether a request changes something."""
        return request.method != "GET" and not request.path.endswith("/query")

    def poison(self, number: int) -> None:
        """Requests that write and name this person are refused whole, alone or with others."""
        marks = tuple(mark.lower() for mark in self.marks(number))

        def answer(request: Request) -> Reply | None:
            text = f"{request.path} {request.body.decode()}".lower()
            return self.refusal() if self.writes_in(request) and any(mark in text for mark in marks) else None

        self.instead = answer

    def handle(self, request: Request) -> Reply:
        if not self.writes_in(request):
            return self.instead(request) or self.simulator.handle(request)
        self.answer = None
        self.answer = self.instead(request) or self.simulator.handle(request)
        return self.answer

    @contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except PlatformError as error:
            self.said += [str(error), repr(error)]
            raise


def leaks(place: Place, texts: Iterable[str]) -> list[str]:
    """Texts with an address or the key in them."""
    receipts = [its.reason for its in place.destination.receipts if its.reason]
    return [text for text in (*place.said, *receipts, *texts) if _ADDRESS.search(text) or place.secret in text]


def _bytes(states: Mapping[str, Any]) -> bytes:
    return json.dumps(states, sort_keys=True).encode()
