"""Keeps secrets and people's addresses out of everything that is printed, logged or raised.

One `Redactor` serves the process: whoever learns a secret adds it, and every text that leaves goes through `redact`.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

SECRET = "<secret>"  # noqa: S105
ADDRESS = "<address>"
SHORTEST = 4

_AT = r"(?:@|%(?:25)*40|\\u0040|&#(?:64|x40);)"
_LOCAL = r"(?:[\w.!#$'*+^`{|}~-]|%(?!(?:25)*40)|&(?!\#(?:64|x40);)(?=\w*;))"
_LABEL = r"(?:[\w-]|%(?:25)*[89a-f][0-9a-f])+"
_DOMAIN = rf"{_AT}{_LABEL}(?:\.{_LABEL})*"
_ADDRESS = re.compile(rf"(?<![\w.!#$'*+^`{{|}}~%-]){_LOCAL}+{_DOMAIN}(?:{_LOCAL}*{_DOMAIN})*", re.IGNORECASE)


class Redactor(logging.Filter):
    """A logging filter, a structlog processor and a function of text over one set of secrets.

    As a processor it belongs last before the renderer, so that rendered exceptions pass through it too; as a filter
    it belongs on handlers, because filters of a logger do not see what its children log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, *secrets: SecretStr | str) -> None:
        """Mask these from now on, also URL-encoded and in base64. Under four characters a text is no secret."""
        with self._lock:
            for secret in secrets:
                text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
                text = text.strip()
                if len(text) >= SHORTEST:
                    self._secrets |= {text, quote(text, safe=""), quote_plus(text)}
                    self._secrets.add(base64.b64encode(text.encode()).decode().rstrip("="))
            longest_first = sorted(self._secrets, key=lambda text: (-len(text), text))
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact(self, text: str) -> str:
        """`text` without secrets and without addresses, plain or encoded."""
        if self._pattern is not None:
            text = self._pattern.sub(SECRET, text)
        return _ADDRESS.sub(ADDRESS, text)

    def clean(self, value: Any) -> Any:
        """The same for every text within mappings and sequences; numbers, booleans and None stay as they are."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.clean(key): self.clean(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(inner) for inner in value]
        return self.redact(str(value) if isinstance(value, BaseException) else repr(value))

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: self.clean(value) for key, value in event.items()}

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            record.exc_info, record.exc_text = None, self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        return True


REDACTOR = Redactor()


def redact(text: str) -> str:
    """`text` without the secrets known to this process and without addresses."""
    return REDACTOR.redact(text)
