"""Fixtures for every layer: the real servers of `infra.dev`, started once a run and only when a test asks for them."""

import pytest

pytest_plugins = ["infra.dev.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-long", action="store_true", help="many kills instead of the short kill test")
