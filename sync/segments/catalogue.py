"""Segments as they are configured: packs of `mappings/segments/` and the owner's own files, in dependency order."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connector import destinations
from mappings.vocabulary import FOLDER, Vocabulary, load_vocabulary
from sync.errors import SegmentError
from sync.segments import tree as t
from sync.segments.language import Rule, parse
from sync.segments.places import Place, places
from sync.segments.problems import Origin, Problem, nearest

PACKS = FOLDER / "segments"
TAGS = "tags"
"""The write-back to the store, as `push` names it."""
_KEY = re.compile(r"[a-z0-9][a-z0-9_:-]*")
_THRESHOLD = re.compile(r"\{([a-z0-9_]+)\}")
_TEXTS = ("name", "sentence", "goal", "action", "channel", "exclusions", "metric", "subject", "text", "unavailable")
_FIELDS = (*_TEXTS, "where", "push", "default", "turnover", "tests")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as it stands in a file, with its rule.

    `push` None means every enabled destination. `deps` are the segments its condition names; `rule_hash` changes with
    the meaning of the condition, its spelling apart, or of theirs. `unavailable` says why an entry of the catalogue has
    no rule that can run yet, `blocked` the same of it or of one it names. `sources` includes those of its dependencies.
    """

    key: str
    name: str
    where: str
    rule: Rule | None
    origin: Origin
    push: tuple[str, ...] | None = None
    pack: str | None = None
    default: bool = False
    turnover: str | None = None
    sentence: str = ""
    goal: str = ""
    action: str = ""
    channel: str = ""
    exclusions: str = ""
    metric: str = ""
    subject: str = ""
    text: str = ""
    unavailable: str | None = None
    tests: Mapping[str, Any] = field(default_factory=dict)
    rule_hash: str = ""
    sources: frozenset[str] = frozenset()
    blocked: str | None = None

    @property
    def file(self) -> str:
        return self.origin.file

    @property
    def line(self) -> int:
        return self.origin.line

    @property
    def deps(self) -> frozenset[str]:
        return self.rule.segments if self.rule else frozenset()

    @property
    def reads(self) -> frozenset[str]:
        return self.rule.reads if self.rule else frozenset()


def pack_names() -> tuple[str, ...]:
    """The packs of the catalogue, in the order of their files."""
    return tuple(sorted(path.stem for path in PACKS.glob("*.toml")))


def load(packs: Sequence[str], files: Sequence[Path] = (), vocabulary: Vocabulary | None = None) -> list[Segment]:
    """Every configured segment, dependencies first. Raises SegmentError at the first fault.

    An entry of the catalogue that only a condition names comes along and is pushed nowhere.
    """
    vocabulary = vocabulary or load_vocabulary()
    names = pack_names()
    wanted = names if "all" in packs else tuple(packs)
    for name in wanted:
        if name not in names:
            raise SegmentError(f"unknown pack '{name}'{nearest(name, names)}; there are {', '.join(names)}")
    catalogue = {one.key: one for name in wanted for one in read(PACKS / f"{name}.toml", vocabulary, pack=name)}
    own: dict[str, Segment] = {}
    for path in files:
        for segment in read(path, vocabulary):
            if segment.key in own:
                raise SegmentError(f"{segment.origin.head()}: the key is also in {own[segment.key].origin.head()}")
            own[segment.key] = segment
    chosen = catalogue | own
    if any(key not in chosen for segment in chosen.values() for key in segment.deps):
        rest = [name for name in names if name not in wanted]
        others = {one.key: one for name in rest for one in read(PACKS / f"{name}.toml", vocabulary, pack=name)}
        chosen |= {key: replace(others[key], push=()) for key in _named_only(chosen, others)}
    _check_names(chosen.values())
    return _linked(chosen)


def read(path: Path, vocabulary: Vocabulary, *, pack: str | None = None) -> list[Segment]:
    """The segments of one file, not yet linked to each other."""
    shown = path.name if pack is None else f"{pack}.toml"
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise SegmentError(f"{path}: cannot be read ({error.strerror}); mend [segments] files") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SegmentError(f"{shown}: not a TOML file: {error}") from error
    where = places(text)
    for key in document:
        if key not in ("segment", "thresholds"):
            raise _fault(shown, where.get((key,)), None, f"unknown table [{key}]; segments are written [segment.KEY]")
    thresholds = document.get("thresholds", {})
    rows = document.get("segment", {})
    if not isinstance(rows, dict) or not isinstance(thresholds, dict):
        raise SegmentError(f"{shown}: segments are written [segment.KEY]")
    return [_segment(shown, key, row, where, thresholds, vocabulary, pack) for key, row in rows.items()]


def _segment(
    file: str,
    key: str,
    row: Any,
    where: Mapping[tuple[str, ...], Place],
    thresholds: Mapping[str, Any],
    vocabulary: Vocabulary,
    pack: str | None,
) -> Segment:
    head = where.get(("segment", key)) or where.get(("segment", key, "where"))
    if not _KEY.fullmatch(key):
        raise _fault(file, head, key, "a key is made of a-z 0-9 _ : - and begins with a letter or a digit")
    if not isinstance(row, dict):
        raise _fault(file, head, key, f"a segment is a table; write [segment.{key}]")
    for name in row:
        if name not in _FIELDS:
            at = where.get(("segment", key, name)) or head
            raise _fault(file, at, key, f"unknown setting '{name}'{nearest(name, _FIELDS)}")
    for name in _TEXTS:
        if not isinstance(row.get(name, ""), str):
            raise _fault(file, where.get(("segment", key, name)) or head, key, f"{name} must be a text")
    condition = row.get("where", "")
    if not isinstance(condition, str) or not (condition.strip() or row.get("unavailable")):
        raise _fault(file, head, key, 'has no condition; write where = "..."')
    spot = where.get(("segment", key, "where")) or head or Place(1, 1, exact=False)
    filled = _filled(condition, thresholds, Origin(file, spot.line, spot.column, key))
    origin = Origin(file, spot.line, spot.column, key, columns=spot.exact and filled == condition)
    return Segment(
        key=key,
        where=filled,
        rule=parse(filled, origin=origin, vocabulary=vocabulary) if filled.strip() else None,
        origin=origin,
        push=_push(row, file, where.get(("segment", key, "push")) or head, key, pack),
        pack=pack,
        default=row.get("default", False),
        turnover=_turnover(row, file, where.get(("segment", key, "turnover")) or head, key),
        tests=row.get("tests", {}),
        **{"name": key, **{name: row[name] for name in _TEXTS if name in row}},
    )


def _filled(condition: str, thresholds: Mapping[str, Any], origin: Origin) -> str:
    """The condition with `{threshold}` filled in."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in thresholds:
            raise SegmentError(f"{origin.head()}: unknown threshold '{name}'{nearest(name, thresholds)}")
        return str(thresholds[name])

    return _THRESHOLD.sub(value, condition)


def _push(row: Mapping[str, Any], file: str, at: Place | None, key: str, pack: str | None) -> tuple[str, ...] | None:
    push = row.get("push")
    if push is None:
        return None if pack is None or row.get("default", False) else ()
    if not isinstance(push, list) or not all(isinstance(one, str) for one in push):
        raise _fault(file, at, key, 'push is a list of destinations, such as ["tags", "klaviyo"]')
    known = (TAGS, *destinations())
    for name in push:
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise _fault(file, at, key, f"unknown destination '{name}' in push{hint}")
    return tuple(push)


def _turnover(row: Mapping[str, Any], file: str, at: Place | None, key: str) -> str | None:
    turnover = row.get("turnover")
    if turnover not in (None, "expected"):
        raise _fault(file, at, key, f'turnover is "expected" or absent, not {turnover!r}')
    return str(turnover) if turnover else None


def _fault(file: str, at: Place | None, key: str | None, message: str) -> SegmentError:
    return SegmentError(f"{Origin(file, at.line if at else 1, key=key).head()}: {message}")


def _named_only(chosen: Mapping[str, Segment], catalogue: Mapping[str, Segment]) -> Iterable[str]:
    """Keys of the catalogue that conditions name, directly or further on, and nobody chose."""
    found: dict[str, None] = {}
    waiting = list(chosen.values())
    while waiting:
        for key in waiting.pop().deps:
            if key not in chosen and key not in found and key in catalogue:
                found[key] = None
                waiting.append(catalogue[key])
    return found


def _check_names(segments: Iterable[Segment]) -> None:
    seen: dict[str, Segment] = {}
    for segment in segments:
        other = seen.setdefault(segment.name.strip().casefold(), segment)
        if other is not segment:
            head = segment.origin.head()
            raise SegmentError(f'{head}: its name "{segment.name}" is also that of "{other.key}"; lists go by name')


def _linked(chosen: Mapping[str, Segment]) -> list[Segment]:
    """In dependency order, each with the hash, sources and obstacles that come from those before it."""
    done: dict[str, Segment] = {}
    for key in _ordered(chosen):
        segment = chosen[key]
        deps = [done[name] for name in sorted(segment.deps)]
        parts = [t.to_text(segment.rule.tree) if segment.rule else "", *(one.rule_hash for one in deps)]
        blocked = segment.unavailable or next((f"{one.key}: {one.blocked}" for one in deps if one.blocked), None)
        done[key] = replace(
            segment,
            rule_hash=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16],
            sources=frozenset().union(segment.rule.sources if segment.rule else (), *(one.sources for one in deps)),
            blocked=blocked,
        )
    return list(done.values())


def _ordered(chosen: Mapping[str, Segment]) -> Iterator[str]:
    """Depth first; a segment that leads back to itself is an error that shows the way."""
    finished: set[str] = set()

    def visit(key: str, path: tuple[str, ...]) -> Iterator[str]:
        if key in finished:
            return
        if key in path:
            way = " -> ".join((*path[path.index(key) :], key))
            raise SegmentError(f"{chosen[key].origin.head()}: the segment refers to itself: {way}")
        for name in sorted(chosen[key].deps):
            if name not in chosen:
                raise _unknown_segment(chosen[key], name, chosen)
            yield from visit(name, (*path, key))
        finished.add(key)
        yield key

    for key in chosen:
        yield from visit(key, ())


def _unknown_segment(segment: Segment, name: str, known: Iterable[str]) -> SegmentError:
    assert segment.rule is not None
    at = next(node.at for node in t.walk(segment.rule.tree) if isinstance(node, t.InSegment) and node.key == name)
    return segment.origin.error(Problem(f"unknown segment '{name}'{nearest(name, known)}", at), segment.where)


def warnings(segments: Iterable[Segment]) -> list[str]:
    """What the conditions' authors should know, one line each."""
    return [line for segment in segments if segment.rule for line in segment.rule.warnings]
