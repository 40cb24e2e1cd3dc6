"""The log: structlog on stderr, as text or as one JSON object a line, without secrets and addresses."""

from __future__ import annotations

import logging
import sys

import structlog

from connector.redact import REDACTOR

log: structlog.stdlib.BoundLogger = structlog.get_logger("regulars")

WAITS = "connector.waits"
"""The logger of what somebody at the screen is waiting for."""


class _Plain(logging.Handler):
    """A line without level and time, on whatever stderr is at that moment: progress bars stand in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(REDACTOR.redact(record.getMessage()) + "\n")


def configure(*, as_json: bool = False, level: int = logging.WARNING) -> None:
    """Set up the log once for the process. Libraries' own loggers go the same way from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, REDACTOR, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("regulars").setLevel(level)
    waits = logging.getLogger(WAITS)
    waits.propagate = as_json
    waits.handlers = [] if as_json else [_Plain()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def bind_run(run_id: int) -> None:
    """Every line from now on names the run."""
    structlog.contextvars.bind_contextvars(run=run_id)
