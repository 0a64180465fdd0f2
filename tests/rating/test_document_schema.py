"""The published JSON Schema: current, complete, and true for every document of the docs, the examples and the tests."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from rating.catalogue.json_schema import DIALECT, json_schema
from tests.rating.documents import TIERS, charge, document, priced
from tests.rating.helpers import EXAMPLES

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "price-list.schema.json"


class Loader(yaml.SafeLoader):
    """Reads YAML as editors do when they check it against a schema, with instants left as texts."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def published() -> str:
    return json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"


def documents() -> list[Any]:
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", (DOCS / "pricing.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    texts = [*blocks, *(path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.yaml")))]
    loaded = [yaml.load(text, Loader=Loader) for text in texts]
    return [value for value in loaded if isinstance(value, dict) and {"id", "currency"} <= set(value)]


def test_the_published_schema_is_current() -> None:
    text = json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"
    assert PUBLISHED.read_text(encoding="utf-8") == text, (
        "run python -m rating.catalogue.json_schema > docs/price-list.schema.json"
    )


def test_it_is_a_schema_of_the_draft_it_names() -> None:
    assert json_schema()["$schema"] == DIALECT
    jsonschema_rs.meta.validate(json_schema())


def test_every_key_is_described() -> None:
    models = {"": json_schema(), **json_schema()["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, field in model["properties"].items()
        if not field.get("description")
    ]
    assert silent == []
    assert all(model["description"] and model["additionalProperties"] is False for model in models.values())


def test_every_document_of_the_docs_is_valid() -> None:
    found = documents()
    assert found
    for each in found:
        jsonschema_rs.validate(json_schema(), each)


@pytest.mark.parametrize(
    "text",
    [
        document(charge(each="account", settings={"month": 720}), charge("b", each=["tier"])),
        document(
            priced("graduated", {"tiers": TIERS, "when": {"tier": ["a", "b"], "site": "x"}}), settings={"month": "730"}
        ),
        document(charge(), units={"net.in.bytes": {"x": "1/3", "y": 5}}, campaigns=[{"id": "k", "products": "p"}]),
    ],
)
def test_what_parses_is_valid(text: str) -> None:
    jsonschema_rs.validate(json_schema(), json.loads(text))


@pytest.mark.parametrize(
    "head",
    [{"windw": "day"}, {"window": "week2"}, {"currency": "eur"}, {"products": []}, {"rounding": {"digits": 7}}],
)
def test_what_does_not_parse_for_its_form_is_invalid(head: dict[str, Any]) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(json_schema(), json.loads(document(charge(), **head)))


if __name__ == "__main__":
    PUBLISHED.write_text(published(), encoding="utf-8")
