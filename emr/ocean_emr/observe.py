"""Logs of the data plane: one JSON object a line on stderr. Nothing of a patient, no secret, no other's words."""

from __future__ import annotations

import logging
import sys

import structlog


class _NamesOnly(logging.Formatter):
    """Who complains and how gravely. A library's message or traceback may quote a request, and so a patient."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "-"
        return f"{record.levelname} {record.name} {kind}"


def configure_logs() -> None:
    """Our own lines as JSON; other libraries are silent below errors."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_NamesOnly())
    # On the handler: libraries set levels of their own on their loggers.
    handler.setLevel(logging.ERROR)
    logging.basicConfig(handlers=[handler], level=logging.ERROR, force=True)
