"""The project folder: `regulars.toml` and the secrets beside it. Bad input names file, line and key."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from connector import destinations, load_platform, stores
from connector.base import Platform, Secret
from sync.errors import ConfigError
from sync.push.guards import GUARDS


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSection(_Section):
    """[database]"""

    url: str = "sqlite:///regulars.db"

    @field_validator("url")
    @classmethod
    def _sqlite(cls, value: str) -> str:
        if not value.startswith("sqlite:///"):
            raise ValueError("only sqlite:/// addresses are supported")
        return value


class SegmentsSection(_Section):
    """[segments]"""

    packs: tuple[str, ...] = ("lifecycle", "carts")
    files: tuple[str, ...] = ()


class GuardsSection(_Section):
    """[guards]: standing acceptance"""

    accept: tuple[str, ...] = ()

    @field_validator("accept")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for guard in value:
            if guard.split(":")[0] not in GUARDS:
                raise ValueError(f"no guard {guard!r}{_nearest(guard, GUARDS)}")
        return value


class OrdersSection(_Section):
    """[orders]: which orders count"""

    count_unpaid: bool = True
    count_zero: bool = True
    count_refunded: bool = True
    count_cancelled: bool = False
    count_test: bool = False


class _Common(_Section):
    platform: str
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(f"no time zone {value!r}{_nearest(value, sorted(available_timezones()))}")
        return value


@dataclass(frozen=True, slots=True)
class DestinationConfig:
    """One enabled destination: its name in `push`, its platform, the settings of its section."""

    name: str
    platform: Platform
    settings: Any


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder, read and checked. Secrets are held apart from the settings and never printed."""

    file: Path
    store: Platform
    store_settings: Any
    tags: Any
    destinations: tuple[DestinationConfig, ...]
    database: Path
    packs: tuple[str, ...]
    segment_files: tuple[Path, ...]
    accept: tuple[str, ...]
    orders: OrdersSection
    timezone: ZoneInfo | None
    secrets: Mapping[str, str] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where `regulars.toml` lies."""
        return self.file.parent

    @property
    def tag_prefix(self) -> str:
        """What our tags begin with, whether or not they are written."""
        return str(self.tags.prefix)


def find_config(option: Path | None) -> Path:
    """The config file: the option, else REGULARS_CONFIG, else ./regulars.toml. Raises ConfigError if there is none."""
    path = option or Path(os.environ.get("REGULARS_CONFIG") or "regulars.toml")
    if path.is_dir():
        path = path / "regulars.toml"
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; run `regulars init` to write one, or name yours with --config or REGULARS_CONFIG"
        )
    return path.resolve()


def load_project(option: Path | None = None, env: Mapping[str, str] | None = None) -> Project:
    """Read and check the whole folder. Raises ConfigError with file, line and key of the first thing wrong."""
    path = find_config(option)
    return read_project(path, path.read_text(encoding="utf-8"), env if env is not None else os.environ)


def read_project(path: Path, text: str, env: Mapping[str, str]) -> Project:
    """The project that `path` would make with this text, whether or not it has been written."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from None
    reader = _Reader(path, text, raw)
    common, store, settings = reader.store()
    tags = reader.section("tags", store.tags_settings)
    enabled = []
    if "tags" in raw and tags.enabled and store.destination is not None:
        enabled.append(DestinationConfig("tags", store, tags))
    for name in destinations():
        if name in raw:
            platform = load_platform(name)
            section = reader.section(name, platform.settings)
            if section.enabled:
                enabled.append(DestinationConfig(name, platform, section))
    reader.no_strangers({"store", "database", "segments", "guards", "orders", "tags", *destinations()})
    segments = reader.section("segments", SegmentsSection)
    database = reader.section("database", DatabaseSection)
    zone = ZoneInfo(common.timezone) if common.timezone else None
    files = tuple(path.parent / name for name in segments.files)
    for file in files:
        if not file.is_file():
            raise ConfigError(f"{reader.where('segments', 'files')}: no such file {file.name}")
    return Project(
        file=path,
        store=store,
        store_settings=settings,
        tags=tags,
        destinations=tuple(enabled),
        database=path.parent / database.url.removeprefix("sqlite:///"),
        packs=segments.packs,
        segment_files=files,
        accept=reader.section("guards", GuardsSection).accept,
        orders=reader.section("orders", OrdersSection),
        timezone=zone,
        secrets=read_secrets(path.parent, env),
    )


def read_secrets(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """REGULARS_* from the environment, from NAME_FILE (container secrets), else from `.env` beside the config."""
    found = {k: v for k, v in dotenv_values(folder / ".env").items() if v} if (folder / ".env").is_file() else {}
    for name, value in env.items():
        if not name.startswith("REGULARS_") or not value:
            continue
        if name.endswith("_FILE"):
            try:
                found[name.removesuffix("_FILE")] = Path(value).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{name}: cannot read {value}: {error.strerror}") from None
        else:
            found[name] = value
    return {name: value for name, value in found.items() if name.startswith("REGULARS_")}


def require_secrets(platform: Platform, secrets: Mapping[str, str]) -> dict[str, str]:
    """The secrets of one whole alternative of the platform. Raises ConfigError naming what is missing."""
    groups: dict[str, list[Secret]] = {}
    for secret in platform.secrets:
        groups.setdefault(secret.group, []).append(secret)
    for members in groups.values():
        if all(secret.name in secrets for secret in members):
            return {secret.name: secrets[secret.name] for secret in members}
    wanted = ", or ".join(" + ".join(secret.name for secret in members) for members in groups.values())
    raise ConfigError(f"{platform.name}: no key: set {wanted} in the environment or in .env")


class _Reader:
    """Sections of one file, with the line of every key."""

    def __init__(self, path: Path, text: str, raw: Mapping[str, Any]) -> None:
        self.path, self.text, self.raw = path, text, raw

    def store(self) -> tuple[_Common, Platform, Any]:
        section = self.raw.get("store")
        if not isinstance(section, Mapping):
            raise ConfigError(f"{self.path.name}: no [store] section; run `regulars init` to write one")
        common = self._validate("store", _Common, {k: v for k, v in section.items() if k in _Common.model_fields})
        if common.platform not in stores():
            known = ", ".join(stores())
            raise ConfigError(f"{self.where('store', 'platform')}: no platform {common.platform!r}; there are {known}")
        store = load_platform(common.platform)
        rest = {k: v for k, v in section.items() if k not in _Common.model_fields}
        return common, store, self._validate("store", store.settings, rest, extra=tuple(_Common.model_fields))

    def section(self, name: str, model: Any) -> Any:
        section = self.raw.get(name, {})
        if not isinstance(section, Mapping):
            raise ConfigError(f"{self.where(name)}: [{name}] must be a section")
        return self._validate(name, model, section)

    def no_strangers(self, known: set[str]) -> None:
        for name in self.raw:
            if name not in known:
                raise ConfigError(f"{self.where(name)}: unknown section{_nearest(name, sorted(known))}")

    def where(self, section: str, key: str | None = None) -> str:
        """`regulars.toml:7: [klaviyo] list_prefix` for the first line that says it."""
        current, line = "", 0
        for number, text in enumerate(self.text.splitlines(), 1):
            stripped = text.strip()
            if stripped.startswith("["):
                current = stripped.strip("[]").split("#")[0].strip(" ]")
                if current == section and (key is None or not line):
                    line = line or number
            elif key and current == section and stripped.split("=")[0].strip().strip("\"'") == key:
                line = number
                break
        place = f"{self.path.name}:{line}" if line else self.path.name
        return f"{place}: [{section}]" + (f" {key}" if key else "")

    def _validate(self, name: str, model: Any, values: Mapping[str, Any], extra: Sequence[str] = ()) -> Any:
        try:
            return model.model_validate(dict(values))
        except ValidationError as error:
            problem = error.errors()[0]
            key = str(problem["loc"][0]) if problem["loc"] else None
            if problem["type"] == "extra_forbidden":
                known = [*model.model_fields, *extra]
                raise ConfigError(f"{self.where(name, key)}: unknown key{_nearest(key or '', known)}") from None
            if problem["type"] == "missing":
                raise ConfigError(f"{self.where(name)}: {key} is missing") from None
            text = problem["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{self.where(name, key)}: {text}") from None


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


__all__ = ["DestinationConfig", "Project", "find_config", "load_project", "read_project", "require_secrets"]
