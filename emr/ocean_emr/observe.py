"""Logs of the data plane: one JSON object a line on stderr. Nothing of a patient, no secret, no other's exception text."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs() -> None:
    """Our own lines as JSON; other libraries are silent below errors, since their messages may quote requests."""
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
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(levelname)s %(name)s", force=True)
