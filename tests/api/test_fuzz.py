"""Schemathesis over the OpenAPI document: whatever is sent, no 5xx, and every answer is as documented."""

from collections.abc import Callable
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks

from tests.api.world import World

EXAMPLES_MAX: Final = 30
"""Cases of each operation; the whole takes about a minute."""
load_all_checks()
CHECKS: Final = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "allow_header_conformance",
    )
]
STREAMS: Final = {"/v1/stream"}


@pytest.mark.parametrize("role", ["admin", "acme"])
def test_any_request_gets_a_documented_answer(url: str, world: World, role: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    headers = {"Authorization": f"Bearer {world.tokens[role]}"}
    asked = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # a broken document raises here
        if operation.path in STREAMS or operation.method.upper() == "DELETE":
            continue  # one never ends; the other could retire a rule that other tests stand on
        asked += 1
        _fuzz(operation, headers)()
    assert asked > 20


def _fuzz(operation: Any, headers: dict[str, str]) -> Callable[[], None]:
    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    return run
