"""The composition root: the only place that joins config, store, platforms and clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.base import Access, Clock, Destination, Source
from connector.budget import Budgets
from connector.redact import REDACTOR
from connector.retry import Policy
from sync import log
from sync.cli.output import note, progress
from sync.clock import SystemClock, local
from sync.config import Project, find_config, load_project, require_secrets
from sync.errors import ConfigError, UsageError
from sync.metrics import MetricSettings, as_of
from sync.runs import Workspace, metric_settings, sources_read
from sync.segments.catalogue import load
from sync.store import state
from sync.store.engine import Connection, Store, open_store

DEMO_MARKER = ".regulars-demo"


@contextmanager
def workspace(
    config: Path | None,
    *,
    online: bool,
    clock: Clock | None = None,
    transports: Mapping[str, Any] | None = None,
) -> Iterator[Workspace]:
    """A project, its segments compiled, its database open; `online` also makes the source and the destinations.

    A mistake in config, keys or segments is raised before the database is touched.
    """
    log.configure()
    project = load_project(config)
    if online and transports is None:
        refuse_demo(project)
    time = clock or SystemClock()
    segments = tuple(load(project.packs, project.segment_files))
    with ExitStack() as closing:
        paces: dict[str, Budgets] = {}
        source, destinations = connect(project, time, transports or {}, closing, paces) if online else (None, ())
        store = open_store(project.database, clock=time)
        closing.callback(store.close)
        closing.enter_context(_paced(store, paces, time))
        with progress() as bars:
            yield Workspace(
                project=project,
                store=store,
                clock=time,
                segments=segments,
                source=source,
                destinations=destinations,
                progress=bars,
            )


def refuse_demo(project: Project) -> None:
    """Raises ConfigError in the demo's folder: nothing outside the process that made it answers to its keys."""
    if _marked(project.folder):
        raise ConfigError(
            "this is the demo's folder: its shop lived inside the demo; "
            "run `regulars sandbox`, or `regulars init my-shop` for your own"
        )


def where(config: Path | None) -> str:
    """What a command to copy ends with, so that it finds the same project."""
    return f" --config {config}" if config is not None else ""


def is_demo(config: Path | None) -> bool:
    """True of the demo's folder."""
    return _marked(find_config(config).parent)


def _marked(folder: Path) -> bool:
    return (folder / DEMO_MARKER).is_file()


@contextmanager
def _paced(store: Store, paces: Mapping[str, Budgets], clock: Clock) -> Iterator[None]:
    """Limits as the last run left them, so that a run started right after it does not burst."""
    with store.read() as connection:
        for name, budgets in paces.items():
            budgets.restore(state.get_meta(connection, f"pace:{name}", {}), clock.now())
    yield
    with store.begin() as connection:
        for name, budgets in paces.items():
            state.set_meta(connection, f"pace:{name}", budgets.snapshot(clock.now()))


def connect(
    project: Project,
    clock: Clock,
    transports: Mapping[str, Any],
    closing: ExitStack,
    paces: dict[str, Budgets] | None = None,
    *,
    policy: Policy | None = None,
) -> tuple[Source, tuple[Destination, ...]]:
    """The source and the enabled destinations, their connections open until `closing` is closed.

    A store's source and write-back share one access, so one budget; `paces` takes the budgets by platform.
    """
    accesses: dict[str, Access] = {}

    def access(platform: Any, settings: Any) -> Access:
        if platform.name not in accesses:
            secrets = require_secrets(platform, project.secrets)
            REDACTOR.add(*secrets.values())
            transport = transports.get(platform.name)
            accesses[platform.name] = Access(settings, secrets, clock, transport, policy, closing=closing)
        return accesses[platform.name]

    store = access(project.store, project.store_settings)
    if project.store.source is None:
        raise TypeError(f"{project.store.name} is no source")
    made = []
    for wanted in project.destinations:
        if wanted.platform.destination is None:
            raise TypeError(f"{wanted.platform.name} is no destination")
        own = store if wanted.platform is project.store else access(wanted.platform, wanted.settings)
        made.append(wanted.platform.destination(own, wanted.settings))
    source = project.store.source(store)
    if paces is not None:
        paces |= {name: its.budgets[name] for name, its in accesses.items()}
    return source, tuple(made)


@dataclass(frozen=True, slots=True)
class View:
    """The facts of one instant: the present, or an earlier one rebuilt in temporary tables of this connection."""

    connection: Connection
    now: int
    settings: MetricSettings
    sources_read: frozenset[str]


@contextmanager
def offline_view(work: Workspace, instant: int | None) -> Iterator[View]:
    """A view for reading only. A past one says on stderr, once, what has no history."""
    with work.store.read() as connection:
        settings = metric_settings(work.project, connection)
        read = sources_read(connection)
        now = int(work.clock.now())
        if instant is not None:
            now = instant
            unrewound = as_of(connection, now=now, settings=settings)
            note(_unrewound(now, settings, unrewound))
        yield View(connection, now, settings, read)


def as_of_instant(text: str | None) -> int | None:
    """`--as-of` as epoch seconds; an instant without an offset is UTC. Raises UsageError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--as-of {text!r} is no ISO 8601 instant, such as 2026-11-21T00:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _unrewound(now: int, settings: MetricSettings, names: Sequence[str]) -> str:
    said = ", ".join(name.removeprefix("customer_").replace("_", " ") for name in names)
    return f"as of {local(now, settings.zone)}; without history, so as last read: {said}"
