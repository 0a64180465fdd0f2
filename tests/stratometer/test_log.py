"""Logs: structured, on standard error, and without secrets."""

import subprocess
import sys
from typing import Any

import orjson
import pytest

from stratometer.log import SECRET_WORDS, redact

SECRET = "hunter2"


@pytest.mark.parametrize("name", [*SECRET_WORDS, "sasl_password", "Authorization", "admin_token", "API_KEY"])
def test_fields_that_speak_of_secrets_are_blanked(name: str) -> None:
    """Invariant 15."""
    event: dict[str, Any] = {"event": "hello", name: SECRET, "site": "vc-1"}
    assert redact(None, "info", event) == {"event": "hello", name: "***", "site": "vc-1"}


def test_a_log_line_is_json_on_standard_error() -> None:
    """Invariant 15, with the whole chain of processors, in a process of its own."""
    script = (
        "from stratometer.log import configure; import structlog; configure(json=True);"
        f"structlog.get_logger('x').warning('hi', password='{SECRET}', url='clickhouse://u:{SECRET}@h/d', n=1)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    line = orjson.loads(done.stderr)
    assert (line["event"], line["level"], line["password"], line["n"]) == ("hi", "warning", "***", 1)
    assert SECRET not in done.stderr
