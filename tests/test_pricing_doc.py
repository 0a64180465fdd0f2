"""docs/pricing.md is true: its YAML is read, its worked examples are rated, every key and value has its place.

A YAML block of the page is a whole list, a provider file, one charge (it has `prices` but no currency), or a part of a
list. After it may stand a table whose header begins with `usage`: each row is rated with the block. Or a CSV block with
the usage, and then a table whose header begins with `with` (lines to add to the block), the sentences that come out, or
both.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from textwrap import indent
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from rating import components
from rating.catalogue.chain import CHAIN_MAX
from rating.catalogue.document import CAMPAIGNS_MAX, PRODUCTS_MAX, RATES_MAX, PriceListDocument
from rating.catalogue.document_campaign import COMMITMENTS_MAX
from rating.catalogue.document_charge import CHARGES_MAX, METERS_MAX, PRICES_MAX
from rating.catalogue.document_defaults import SETTINGS
from rating.catalogue.document_fields import AMOUNT_DIGITS_MAX, QUANTITY_DIGITS_MAX
from rating.catalogue.document_price import TIERS_MAX
from rating.charge import ALWAYS, Model
from rating.exact import Mode, rounded
from rating.price import UNIT
from rating.price_list import parse
from rating.terms import Terms
from rating.units import units_of
from schemas.errors import Misconfigured, Poison
from schemas.meters import Meter, builtin
from schemas.money import micros_of
from schemas.period import FOREVER, Period, iso, parse_instant
from stratometer.provider_file import ProviderFile
from stratometer.rate_files import FileRating, rate_files, rate_text
from stratometer.rate_rows import explanations

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "pricing.md").read_text(encoding="utf-8")
HEAD = "id: example\nname: Example\ncurrency: EUR\nwindow: month\nrounding: {digits: 2}\n"
"""What the page says that examples leave out."""
JANUARY = Period(parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-02-01T00:00:00Z"))
DAY_SECONDS = 86_400
PIECE = re.compile(r"^(#+ [^\n]*)$|^```(\w+)\n(.*?)^```$|((?:^\|[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
"""A heading, a block (language, text), or a table."""
ITEM = re.compile(r"(?:(\w+): )?(-?[\d.]+) (\S+)(?: \{(.+)\})?")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
REGISTRY = builtin()
COMPONENTS = (
    UNIT,
    components.FREE,
    components.INCLUDED,
    components.OVERAGE,
    components.BEYOND,
    components.OFF,
    components.PERCENT,
    components.FEE,
    components.COMMITMENT,
    components.MINIMUM,
    components.MAXIMUM,
    components.CAMPAIGN,
    components.TRUE_UP,
    components.SPEND_OVERAGE,
    components.ACCOUNT,
)


@dataclass(frozen=True)
class Example:
    """A YAML block, CSV usage or none, and what is said of them: a row of a table by its header, or sentences."""

    block: str
    usage: str
    said: Mapping[str, str]

    @property
    def more(self) -> tuple[str, ...]:
        """The lines to add to the block."""
        return tuple(re.findall(r"`(.+?)`", self.said.get("with", "")))

    def __str__(self) -> str:
        """Return a name for the test."""
        return " · ".join(self.said.values()).splitlines()[0]


def document_of(block: str, more: tuple[str, ...] = ()) -> str:
    """Return the whole list that a YAML block stands for, with more lines in it."""
    keys = set(yaml.load(block, Loader=yaml.BaseLoader))
    block += "".join(f"{line}\n" for line in more)
    if "currency" in keys:
        return block
    if "prices" in keys:
        own = block if "id" in keys else f"id: example\n{block}"
        return f"{HEAD}products:\n  - id: product\n    charges:\n      -\n{indent(own, ' ' * 8)}"
    return HEAD + block


def examples() -> Iterator[Example]:
    """Yield every example: what stands after a YAML block, or the CSV block behind it, before the next heading."""
    block, usage = "", ""
    for found in PIECE.finditer(PAGE):
        heading, language, text, table = found.groups()
        if heading:
            block, usage = "", ""
        elif language == "yaml":
            block, usage = text, ""
        elif language == "csv":
            usage = text
        elif language == "text" and block and usage:
            yield Example(block, usage, {"sentences": text})
        elif table and block:
            rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
            if rows[0][0] == ("with" if usage else "usage"):
                yield from (Example(block, usage, dict(zip(rows[0], row, strict=True))) for row in rows[2:])


def usage_rows(text: str, document: str) -> Iterator[dict[str, str]]:
    """Yield rows of ``a: 10 GB, b: 5 GB {tier: gold; site: x}`` or ``nothing``: of January, events a day apart."""
    loaded = yaml.load(document, Loader=yaml.BaseLoader)
    charge = loaded["products"][0]["charges"][0]
    kinds = {meter.key: meter.kind for meter in REGISTRY} | {m["key"]: m["kind"] for m in loaded.get("meters", ())}
    for number, item in enumerate([] if text == "nothing" else text.split(", ")):
        found = ITEM.fullmatch(item)
        if found is None:
            raise ValueError(f"no usage: {item}")
        resource, quantity, unit, attributes = found.groups()
        event = kinds[charge["meter"]] == "event"
        yield {
            "resource": resource or "a",
            "meter": charge["meter"],
            "from": iso(JANUARY.start + (number * DAY_SECONDS if event else 0)),
            "to": "" if event else iso(JANUARY.end),
            "quantity": quantity,
            "unit": unit,
            **{f"attr.{name}": value for name, value in (a.split(": ") for a in (attributes or "").split("; ") if a)},
        }


def terms_of(text: str) -> Terms:
    """Return the account of ``group partners, coupon CODE@INSTANT`` or ``active from INSTANT``."""
    words = [item.split(" ") for item in text.split(", ")]
    coupons = [word[1].split("@") for word in words if word[0] == "coupon"]
    starts = [parse_instant(word[2]) for word in words if word[0] == "active"]
    return Terms(
        groups=frozenset(word[1] for word in words if word[0] == "group"),
        coupons={code: parse_instant(instant) for code, instant in coupons},
        active=Period(starts[0], FOREVER) if starts else ALWAYS,
    )


def chain_of(document: str) -> list[str]:
    """Return a list and those of the page that it inherits from, nearest first."""
    parent = yaml.load(document, Loader=yaml.BaseLoader).get("inherits")
    return [document, *(chain_of(LISTS[parent]) if parent else [])]


def rated(example: Example) -> FileRating:
    inside = example.said.get("in the price", "–").strip("`–")
    block = f"{example.block.rstrip()[:-1]}, {inside}}}\n" if inside else example.block
    document = document_of(block, example.more)
    if example.usage:
        rows = list(csv.DictReader(io.StringIO(example.usage)))
        return rate_text(chain_of(document), rows)
    rows = list(usage_rows(example.said["usage"], document))
    return rate_text(chain_of(document), rows, terms=terms_of(example.said.get("account", "–")), period=JANUARY)


YAML = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LISTS = {found[1]: block for block in YAML if (found := re.match(r"id: (\S+)", block))}
EXAMPLES = list(examples())


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "costs" in e.said], ids=str)
def test_what_the_tables_say_it_costs(example: Example) -> None:
    costs = example.said["costs"].replace("−", "-")
    if costs.startswith("refused"):
        with pytest.raises(Poison, match=costs.split("`")[1]):
            rated(example)
        return
    found = [micros for micros in rated(example).lines["amount_micros"].to_pylist() if micros]
    lines, _, total = costs.rpartition(" = ")
    assert sum(found) == micros_of(total)
    said = [micros_of(text.replace(" ", "").lstrip("+")) for text in re.findall(r"(?:^|[+-] )-?[\d.]+", lines)]
    assert sorted(found) == sorted(said if lines else [micros_of(total)] if micros_of(total) else [])


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "sentences" in e.said], ids=str)
def test_what_the_sentences_say(example: Example) -> None:
    assert [e.sentence for e in explanations(rated(example))] == example.said["sentences"].splitlines()


def test_a_partners_list_over_the_standard_one() -> None:
    folder = ROOT / "examples" / "rating"
    command = (
        "stratometer rate examples/rating/usage.csv examples/rating/partners.yaml --parent examples/rating/prices.yaml"
    )
    rating = rate_files(folder / "usage.csv", [folder / "partners.yaml", folder / "prices.yaml"])
    found = {(rating.price_list.by_key[key].list_id if key else "") for key in rating.lines["price_id"].to_pylist()}
    assert f"    {command}\n" in PAGE
    assert found == {"partners", "standard", ""}
    assert rating.warnings == ()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 120
    models = {yaml.load(e.block, Loader=yaml.BaseLoader).get("model", "") for e in EXAMPLES}
    assert set(get_args(Model)) - {"per_unit", "percentage"} <= models


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.splitlines()[0])
def test_every_block_of_yaml_can_be_read(block: str) -> None:
    loaded = yaml.safe_load(block)
    if set(loaded) <= set(ProviderFile.model_fields):
        assert ProviderFile.model_validate(loaded)
    elif any("with" in e.said for e in EXAMPLES if e.block == block):
        assert loaded  # the example's own test reads it with each line added
    else:
        assert parse(document_of(block), REGISTRY).warnings == ()


FIRST = """id: a
name: A
currency: CU
prices:
  - {id: c, product: P, meter: disk.capacity, amount: "1", per: GiB·h}
"""
CPU = "meter: vm.vcpu\nper: vCPU·h\n"
MISTAKES = [
    FIRST.replace('"1"', "0.004"),
    FIRST.replace("disk.capacity", "disk.capacty"),
    FIRST.replace("GiB·h", "GiB/h"),
    FIRST + '  - {id: d, product: P, meter: disk.capacity, amount: "1", per: GiB·h, from: 2026-02-01T00:00:00Z}\n',
    FIRST.replace("GiB·h", "GiB·h, unit: GiB"),
    document_of(f"{CPU}model: volume\nprices: [{{amount: '1'}}]\n"),
    document_of(f"{CPU}model: committed\nprices: [{{commitment: {{fee: '1'}}, overage: {{amount: '1'}}}}]\n"),
    document_of(f"{CPU}prices: [{{amount: '1', currency: USD}}]\n"),
]


@pytest.mark.parametrize("document", MISTAKES)
def test_the_messages_are_the_ones_that_come(document: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse(document, REGISTRY)
    shown = [line.removeprefix("- `").removesuffix("`") for line in PAGE.splitlines() if line.startswith("- `")]
    for problem in caught.value.problems:
        assert any(re.fullmatch(".*".join(map(re.escape, text.split("…"))), problem) for text in shown), problem


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys and fixed values that a part of a document may have, and those of the parts in it."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        yield from within(field.annotation)


def within(annotation: Any) -> Iterator[str]:
    """Yield what a field's type adds to the keys and values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from () if annotation is Meter else keys(annotation)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from within(part)


def test_every_key_and_value_is_named() -> None:
    code = " ".join(re.findall(r"`[^`]+`", FENCED.sub("", PAGE)))
    missing = [key for key in dict.fromkeys(keys(PriceListDocument)) if not re.search(rf"\b{re.escape(key)}\b", code)]
    assert missing == []


def cells(first: str) -> list[list[str]]:
    """Return the rows of the table whose header begins with these cells."""
    (table,) = [found[4] for found in PIECE.finditer(PAGE) if found[4] and found[4].startswith(f"| {first}")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_the_defaults_of_the_settings() -> None:
    said = {name.strip("`"): value for name, value, _ in cells("setting | default")}
    defaults = SETTINGS.model_dump()
    assert set(said) == set(defaults)
    for name, value in defaults.items():
        text = value if isinstance(value, str) else f"[{', '.join(value)}]"
        assert said[name].startswith(f"`{text}`")


def test_the_table_of_rounding() -> None:
    header, *rows = ["mode", "125", "375", "-125"], *cells("mode | 0.125")
    assert {row[0].strip("`") for row in rows} == set(get_args(Mode))
    for row in rows:
        for thousandths, said in zip(header[1:], row[1:4], strict=True):
            found = rounded(int(thousandths), 10, get_args(Mode)[get_args(Mode).index(row[0].strip("`"))])
            assert found == round(Fraction(said.replace("−", "-")) * 100)


def test_the_table_of_units() -> None:
    for _, meter, aggregate, said in cells("quantity | of meters"):
        known = units_of(REGISTRY[meter.strip("`")], aggregate.strip("`"))
        assert [u for u in re.findall(r"`([^`]+)`", said) if not u.startswith("·") and u not in known] == []


def test_the_limits() -> None:
    for limit, what in (
        (PRICES_MAX, "prices in a list"),
        (PRODUCTS_MAX, "products"),
        (CHARGES_MAX, "charges in a product"),
        (TIERS_MAX, "tiers in a price"),
        (METERS_MAX, "meters in a charge"),
        (CAMPAIGNS_MAX, "campaigns"),
        (RATES_MAX, "exchange rates"),
        (COMMITMENTS_MAX, "commitments"),
        (CHAIN_MAX, "lists that inherit"),
        (AMOUNT_DIGITS_MAX, "digits on each side of an amount's point"),
        (QUANTITY_DIGITS_MAX, "of a quantity's"),
    ):
        assert f"{limit:,} {what}" in PAGE


def test_every_component_is_named() -> None:
    assert [name for name in COMPONENTS if f"`{name}" not in PAGE] == []


def test_links_lead_somewhere() -> None:
    heads = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert [link for link in links if link.startswith("#") and link[1:] not in heads] == []
    assert [link for link in links if link[0] != "#" and not (ROOT / "docs" / link.split("#")[0]).exists()] == []
