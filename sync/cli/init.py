"""`regulars init`: a few questions, the keys tried live, a folder written with private files."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connector import PLATFORMS, load_platform
from connector.base import Platform
from sync import log
from sync.cli.output import note, show
from sync.config import Project, read_project
from sync.errors import ConfigError, RegularsError, UsageError

DEFAULT_PACKS = ("lifecycle", "carts")


def run(folder: Path, answers: Mapping[str, Any], *, check: bool) -> None:
    """Try the keys, then write `regulars.toml` and `.env` into `folder`; nothing, where a key is refused.

    Raises UsageError where a question cannot be asked.
    """
    target = folder / "regulars.toml"
    if target.exists():
        raise ConfigError(
            f"{target}: already there; edit it and try its keys with `regulars doctor --config {target}`, "
            "or choose another folder: regulars init FOLDER"
        )
    asked = _Answers(answers)
    platform = asked.choice("platform", "Which store platform", _stores(), "shopify")
    store = load_platform(platform)
    shop = _whole_name(store, asked.text("shop", "Shop address, such as my-shop.myshopify.com"))
    tags = asked.yes("tags", "Write segments back as customer tags", True)
    klaviyo = asked.yes("klaviyo", "Push lists to Klaviyo", False)
    packs = asked.text("packs", "Segment packs, by comma", ",".join(DEFAULT_PACKS))
    text = render(
        platform=platform,
        shop=shop,
        api_url=answers.get("api_url"),
        packs=tuple(p.strip() for p in packs.split(",") if p.strip()),
        tags=tags,
        prefix=answers.get("prefix") or "seg-",
        klaviyo=klaviyo,
        klaviyo_api_url=answers.get("klaviyo_api_url"),
    )
    platforms = [store, *([load_platform("klaviyo")] if klaviyo else [])]
    secrets = _ask_secrets(platforms, asked)
    if check:
        _try(read_project(target.resolve(), text, {**os.environ, **secrets}))
    write_folder(folder, text, secrets)
    show(f"wrote {target} and {folder / '.env'} (readable by you alone)")
    show(f"next: regulars sync --dry-run --config {target}")


def _whole_name(store: Platform, shop: str) -> str:
    """`my-shop` and its address in a browser become what the platform calls it. Raises UsageError."""
    try:
        return str(store.settings.model_validate({"shop": shop}).shop)  # type: ignore[attr-defined]
    except ValidationError as error:
        raise UsageError(f"init: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


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


def _ask(question: str, ask: Callable[[str], str] = input) -> str:
    try:
        return ask(question).strip()
    except EOFError:
        raise UsageError("init: the answers ended before the last question; nothing was written") from None


def render(
    *,
    platform: str,
    shop: str,
    api_url: str | None,
    packs: tuple[str, ...],
    tags: bool,
    prefix: str,
    klaviyo: bool,
    klaviyo_api_url: str | None,
    files: tuple[str, ...] = (),
) -> str:
    """The text of a `regulars.toml`."""
    lines = ["[store]", f"platform = {_quoted(platform)}", f"shop     = {_quoted(shop)}"]
    if api_url:
        lines.append(f"api_url  = {_quoted(api_url)}")
    listed = ", ".join(_quoted(pack) for pack in packs)
    lines += ["", "[segments]", f"packs = [{listed}]"]
    if files:
        lines.append(f"files = [{', '.join(_quoted(file) for file in files)}]")
    lines += ["", "[tags]", f"enabled = {str(tags).lower()}", f"prefix  = {_quoted(prefix)}"]
    if klaviyo:
        lines += ["", "[klaviyo]", "enabled = true"]
        if klaviyo_api_url:
            lines.append(f"api_url = {_quoted(klaviyo_api_url)}")
    return "\n".join(lines) + "\n"


def write_folder(folder: Path, config: str, secrets: Mapping[str, str]) -> None:
    """The two files of a project folder, 0600."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("regulars.toml", config), (".env", "".join(f"{k}={v}\n" for k, v in secrets.items()))):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _stores() -> list[str]:
    return [name for name in PLATFORMS if load_platform(name).source is not None]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ask_secrets(platforms: list[Platform], asked: _Answers) -> dict[str, str]:
    found = {}
    for platform in platforms:
        groups = list(dict.fromkeys(secret.group for secret in platform.secrets))
        group = groups[0]
        if len(groups) > 1:
            group = asked.choice(f"{platform.name}_key", f"{platform.title} key kind", groups, groups[0])
        for secret in platform.secrets:
            if secret.group == group:
                value = os.environ.get(secret.name) or asked.secret(secret.name, secret.hint or secret.name)
                found[secret.name] = value
    return found


class _Answers:
    """Answers given as flags; the rest is asked, on a terminal only."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    def text(self, key: str, question: str, default: str | None = None) -> str:
        if self.given.get(key) is not None:
            return str(self.given[key])
        if not sys.stdin.isatty():
            if default is not None:
                return default
            raise UsageError(f"init: --{key.replace('_', '-')} is needed where nobody can be asked")
        hint = f" [{default}]" if default else ""
        while True:
            answer = _ask(f"{question}{hint}: ") or (default or "")
            if answer:
                return answer

    def choice(self, key: str, question: str, options: list[str], default: str) -> str:
        answer = self.text(key, f"{question} ({', '.join(options)})", default)
        if answer not in options:
            raise UsageError(f"init: {answer!r} is none of {', '.join(options)}")
        return answer

    def yes(self, key: str, question: str, default: bool) -> bool:
        if self.given.get(key) is not None:
            return bool(self.given[key])
        if not sys.stdin.isatty():
            return default
        answer = _ask(f"{question} [{'Y/n' if default else 'y/N'}]: ").lower()
        return default if not answer else answer.startswith("y")

    def secret(self, name: str, question: str) -> str:
        if not sys.stdin.isatty():
            note(f"init: {name} is not set; add it to .env before the first sync")
            return ""
        return _ask(f"{question}: ", getpass.getpass)
