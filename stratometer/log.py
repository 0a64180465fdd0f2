"""Logging: structlog to standard error, for people or as JSON lines; one place that keeps secrets out."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

SECRET_WORDS: Final = ("password", "secret", "token", "authorization", "api_key")
PASSWORD: Final = re.compile(r"(://[^/@:\s]*:)[^/@\s]+@")
"""The password in ``scheme://user:password@host``."""


def configure(*, json: bool, level: int = logging.INFO) -> None:
    """Set up logging for this process."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    for noisy in ("aiokafka", "faust", "mode", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    renderer = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose names speak of secrets, and passwords in addresses."""
    for name, value in event.items():
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = PASSWORD.sub(r"\1***@", value)
    return event
