"""`regulars init`: a few questions, the keys tried live, a folder written with private files."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connector import destinations, load_platform, stores
from connector.base import Platform
from sync import log
from sync.cli.output import note, show
from sync.config import Project, read_project
from sync.errors import ConfigError, RegularsError, UsageError

DEFAULT_PACKS = ("lifecycle", "carts")

Sections = dict[str, dict[str, Any]]
"""A config file: settings by section."""


@dataclass(frozen=True, slots=True)
class Given:
    """Answers given as flags; None: to be asked. `keys` are settings that any section may want, by their name."""

    platform: str | None = None
    tags: bool | None = None
    destinations: Sequence[str] | None = None
    packs: str | None = None
    keys: Mapping[str, str | None] = field(default_factory=dict)
    settings: Sequence[str] = ()


def run(folder: Path, given: Given, *, check: bool) -> None:
    """Try the keys, then write `regulars.toml` and `.env` into `folder`; nothing, where a key is refused.

    Raises UsageError where a question cannot be asked.
    """
    target = folder / "regulars.toml"
    if target.exists():
        raise ConfigError(
            f"{target}: already there; edit it and try its keys with `regulars doctor --config {target}`, "
            "or choose another folder: regulars init FOLDER"
        )
    settings = _settings(given.settings)
    name = _choice("platform", "Which store platform", stores(), given.platform)
    store = load_platform(name)
    sections: Sections = {"store": {"platform": name, **_required(store, store.settings, "store", given, settings)}}
    tags = _yes(given.tags, f"Write segments back to {store.title} as {store.audience_kind}s", True)
    chosen = [load_platform(each) for each in _chosen(given)]
    packs = _text("packs", "Segment packs, by comma", given.packs, ",".join(DEFAULT_PACKS))
    sections["segments"] = {"packs": [pack.strip() for pack in packs.split(",") if pack.strip()]}
    sections["tags"] = {"enabled": tags, "prefix": "seg-"}
    for place in chosen:
        sections[place.name] = {"enabled": True, **_required(place, place.settings, place.name, given, settings)}
    for section, own in settings.items():
        sections.setdefault(section, {}).update(own)
    text = render(sections)
    secrets = _ask_secrets([store, *chosen])
    project = read_project(target.resolve(), text, {**os.environ, **secrets})
    if check:
        _try(project)
    write_folder(folder, text, secrets)
    show(f"wrote {target} and {folder / '.env'} (readable by you alone)")
    show(f"next: regulars sync --dry-run --config {target}")


def _settings(given: Sequence[str]) -> Sections:
    """`section.key=value` as sections. Raises UsageError."""
    sections: Sections = {}
    for each in given:
        name, equals, value = each.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and section and key):
            raise UsageError(f"init: --set {each!r} is not SECTION.KEY=VALUE, such as klaviyo.list_prefix=Shop")
        sections.setdefault(section, {})[key] = int(value) if value.isdecimal() else value.strip()
    return sections


def _required(platform: Platform, model: Any, section: str, given: Given, settings: Sections) -> dict[str, Any]:
    """The settings without which the platform's section is not whole, as the platform writes them."""
    names = [name for name, its in model.model_fields.items() if its.is_required()]
    own = settings.get(section, {})
    found = {
        name: own.pop(name, None)
        or _text(name, model.model_fields[name].description or f"{platform.title}: {name}", given.keys.get(name))
        for name in names
    }
    try:
        whole = model.model_validate(found)
    except ValidationError as error:
        raise UsageError(f"init: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    return {name: getattr(whole, name) for name in names}


def _chosen(given: Given) -> list[str]:
    if given.destinations is not None:
        for name in given.destinations:
            _choice("to", "", destinations(), name)
        return [name for name in destinations() if name in given.destinations]
    platforms = [load_platform(name) for name in destinations()]
    return [its.name for its in platforms if _yes(None, f"Push {its.audience_kind}s to {its.title}", False)]


def _try(project: Project) -> None:
    """Raises RegularsError where a key does not do and nobody insists on writing it down."""
    from sync.cli.doctor import examine_platforms, failures, show_findings
    from sync.clock import SystemClock

    log.configure()
    findings = list(examine_platforms(project, SystemClock()))
    show_findings(findings)
    if not failures(findings):
        return
    if not (sys.stdin.isatty() and _ask("Write the folder all the same? [y/N]: ").lower().startswith("y")):
        raise RegularsError("init: nothing was written; mend what failed, or write it as it is with --no-check")


def render(sections: Sections) -> str:
    """The text of a `regulars.toml`."""
    parts = [
        "\n".join([f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in settings.items())])
        for name, settings in sections.items()
    ]
    return "\n\n".join(parts) + "\n"


def write_folder(folder: Path, config: str, secrets: Mapping[str, str]) -> None:
    """The two files of a project folder, 0600. What else stands in an `.env` that is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder / ".env"
    kept = keys.read_text(encoding="utf-8").splitlines() if keys.is_file() else []
    kept = [line for line in kept if line.partition("=")[0].strip() not in secrets]
    for path, text in (
        (folder / "regulars.toml", config),
        (keys, "".join(f"{line}\n" for line in (*kept, *(f"{k}={v}" for k, v in secrets.items())))),
    ):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ask_secrets(platforms: Sequence[Platform]) -> dict[str, str]:
    found = {}
    for platform in platforms:
        groups = list(dict.fromkeys(secret.group for secret in platform.secrets))
        set_already = [group for group in groups if _all_set(platform, group)]
        if len(groups) == 1 or set_already or not sys.stdin.isatty():
            group = (set_already or groups)[0]
        else:
            group = _choice(f"{platform.name}_key", f"Which kind of key for {platform.title}", groups, None)
        for secret in platform.secrets:
            if secret.group == group:
                found[secret.name] = os.environ.get(secret.name) or _secret(secret.name, secret.hint or secret.name)
    return found


def _all_set(platform: Platform, group: str) -> bool:
    return all(os.environ.get(secret.name) for secret in platform.secrets if secret.group == group)


def _ask(question: str, ask: Callable[[str], str] = input) -> str:
    try:
        return ask(question).strip()
    except EOFError:
        raise UsageError("init: the answers ended before the last question; nothing was written") from None


def _text(key: str, question: str, given: str | None, default: str | None = None) -> str:
    """The answer given, typed, or taken for granted where nobody can be asked."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        if default is not None:
            return default
        raise UsageError(f"init: --{key.replace('_', '-')} is needed where nobody can be asked")
    hint = f" [{default}]" if default else ""
    while True:
        answer = _ask(f"{question}{hint}: ") or (default or "")
        if answer:
            return answer


def _choice(key: str, question: str, options: Sequence[str], given: str | None) -> str:
    """One of the options: a typed answer that is none of them is asked for again. Raises UsageError for a given one."""
    while True:
        answer = _text(key, f"{question} ({', '.join(options)})", given, options[0])
        if answer in options:
            return answer
        if given is not None:
            raise UsageError(f"init: {answer!r} is none of {', '.join(options)}")
        note(f"{answer!r} is none of {', '.join(options)}")


def _yes(given: bool | None, question: str, default: bool) -> bool:
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return default
    answer = _ask(f"{question} [{'Y/n' if default else 'y/N'}]: ").lower()
    return default if not answer else answer.startswith("y")


def _secret(name: str, question: str) -> str:
    if not sys.stdin.isatty():
        note(f"init: {name} is not set; add it to .env before the first sync")
        return ""
    return _ask(f"{question}: ", getpass.getpass)
