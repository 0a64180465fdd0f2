"""`stratometer catalogue`: price lists as files — check, compare, explain — and as what stands in the books."""

from contextlib import ExitStack, closing
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final

import typer

from billing.protocol import Books
from billing.publishing import plain, sentence
from rating.catalogue.diff import changed_from, diff
from rating.catalogue.export_list import exported, exported_json
from rating.lists import PriceList
from rating.price_list import parse
from schemas.clock import system_clock
from schemas.errors import Misconfigured
from schemas.meters import Registry
from schemas.period import iso
from sinks.books.connect import open_books
from stratometer.catalogue_example import Example, example_of
from stratometer.catalogue_files import Source, read_file, source_of
from stratometer.catalogue_words import ChargeWords, campaign_words, charge_words
from stratometer.commands import catalogue_books
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import books_url
from stratometer.exit_codes import Exit
from stratometer.output import complain, print_json, print_table, problems, say

FileName = Annotated[Path, typer.Argument(help="Price list, YAML or JSON.", exists=True, dir_okay=False)]
Listed = Annotated[str, typer.Argument(help="A file, or a list of the books: ID, ID@VERSION or ID@draft.")]
SHOWN: Final = ("component", "quantity", "unit", "price", "amount", "currency")
"""Columns of a worked example."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Price lists: check, compare, explain, publish.", no_args_is_help=True)
    app.add_typer(group, name="catalogue")
    _files(group)
    catalogue_books.register(group)


def _files(group: typer.Typer) -> None:
    @group.command("lint")
    def lint(
        files: Annotated[list[Path], typer.Argument(help="Price lists.", exists=True, dir_okay=False)],
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Check price list files: every mistake at its path, and what may be one. Exit 2 when there is a mistake."""
        registry = start(data_dir).registry()
        found = [_lint(path, registry) for path in files]
        if json:
            print_json(found)
        else:
            for one in found:
                _show_lint(one)
        if any(one["problems"] for one in found):
            raise typer.Exit(Exit.USAGE)

    @group.command("diff")
    def compare(before: Listed, after: Listed, json: Json = False, data_dir: DataDir = None) -> None:
        """Show what differs, and from when on the two rate differently."""
        with ExitStack() as stack:
            old, new = _sources(stack, [before, after], data_dir)
        changes, since = diff(old.price_list, new.price_list), changed_from(old.price_list, new.price_list)
        if json:
            print_json({"changed_from": None if since is None else iso(since), "changes": [plain(c) for c in changes]})
            return
        say("They rate alike." if since is None else f"They rate differently from {iso(since)} on.")
        for change in changes:
            say(f"  {sentence(change)}")

    @group.command("explain")
    def explain(
        file: Listed,
        charge: Annotated[str | None, typer.Option(help="Only this charge.")] = None,
        quantity: Annotated[str | None, typer.Option(help="Used in the worked example, in the price's unit.")] = None,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Say in words what each charge costs and by which rules, with a worked example."""
        amount = _amount(quantity)
        with ExitStack() as stack:
            (source,) = _sources(stack, [file], data_dir)
        registry = _with_own(start(data_dir).registry(), source.price_list)
        charges = [c for c in source.price_list.charges if charge in (None, c.id)]
        if not charges:
            known = ", ".join(c.id for c in source.price_list.charges)
            raise Misconfigured([f"--charge: {source.label} has no charge {charge!r}; it has {known}"])
        told = []
        for one in charges:
            example = example_of(source.document, source.price_list, one, amount, registry, system_clock())
            told.append((charge_words(source.price_list, one), example))
        campaigns = [campaign_words(source.price_list, c) for c in source.price_list.campaigns]
        if json:
            items = [asdict(words) | {"example": asdict(example)} for words, example in told]
            print_json({"list": source.label, "charges": items, "campaigns": campaigns})
        else:
            _show_words(source, told, campaigns)

    @group.command("export")
    def export(file: Listed, json: Json = False, data_dir: DataDir = None) -> None:
        """Print a price list in its canonical form: every default spelled out, YAML or (--json) JSON."""
        with ExitStack() as stack:
            (source,) = _sources(stack, [file], data_dir)
        typer.echo(exported_json(source.price_list) if json else exported(source.price_list), nl=False)


def _sources(stack: ExitStack, names: list[str], data_dir: Path | None) -> list[Source]:
    """Return what the names stand for; the books are opened once, and only where one of the names needs them."""
    settings = start(data_dir)
    opened: list[Books] = []

    def books() -> Books:
        if not opened:
            opened.append(stack.enter_context(closing(open_books(books_url(settings)))))
        return opened[0]

    return [source_of(name, settings.registry(), books) for name in names]


def _lint(path: Path, registry: Registry) -> dict[str, object]:
    try:
        found = parse(read_file(path), registry)
    except Misconfigured as error:
        return {"file": str(path), "id": None, "digest": None, "problems": list(error.problems), "warnings": []}
    foreign = [m.key for m in found.meters if m.key not in registry]
    warnings = [*found.warnings]
    if foreign:
        warnings.append(f"meters: {', '.join(foreign)} not registered here: the list can be rated, not published")
    return {"file": str(path), "id": found.id, "digest": found.digest, "problems": [], "warnings": warnings}


def _show_lint(found: dict[str, object]) -> None:
    mistakes = [str(p) for p in found["problems"]] if isinstance(found["problems"], list) else []
    warnings = found["warnings"] if isinstance(found["warnings"], list) else []
    if mistakes:
        problems(f"{found['file']}: {len(mistakes)} mistakes", mistakes)
    else:
        say(f"{found['file']}: {found['id']} is sound, digest {found['digest']}")
    for warning in warnings:
        complain(f"  warning: {warning}")


def _show_words(source: Source, told: list[tuple[ChargeWords, Example]], campaigns: list[str]) -> None:
    say(f"{source.price_list.name} ({source.label}), {source.price_list.currency}")
    for words, example in told:
        say(f"\n{words.name} ({words.id}), product {words.product}\n  {words.measures}")
        for price in words.prices:
            say(f"  - {price}")
        say(f"  rules: {'; '.join(words.rules)}")
        rows = [[line[name] for name in SHOWN] for line in example.lines]
        print_table(f"Example: {example.said}", SHOWN, rows, right=[1, 4])
        say(f"  together {example.total} {source.price_list.currency}")
    for campaign in campaigns:
        say(f"\ncampaign {campaign}")


def _amount(text: str | None) -> Fraction | None:
    if text is None:
        return None
    try:
        amount = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise Misconfigured([f"--quantity: {text!r} is no number"]) from error
    if amount < 0:
        raise Misconfigured([f"--quantity: {text!r} is less than zero"])
    return amount


def _with_own(registry: Registry, price_list: PriceList) -> Registry:
    return Registry({**registry.meters, **{meter.key: meter for meter in price_list.meters}})
