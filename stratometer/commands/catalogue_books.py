"""The commands of `stratometer catalogue` that work on the books: import, publish, state, history."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer

from billing.catalogue import states
from billing.catalogue_values import AUDIT_PAGE_MAX, Act, AuditEntry
from billing.protocol import Books
from billing.publishing import checked, publish
from pipeline.rate import NO_PRICE_LIST
from rating.catalogue.diff import Change
from schemas.clock import system_clock
from schemas.errors import Misconfigured
from schemas.meters import Registry
from schemas.period import SECOND, iso
from sinks.books.connect import open_books
from stratometer.actor import actor
from stratometer.catalogue_files import read_file
from stratometer.commands.common import DataDir, Force, Json, Reason, start
from stratometer.compose import books_url
from stratometer.output import complain, print_json, print_table, say

FileName = Annotated[Path, typer.Argument(help="Price list, YAML or JSON.", exists=True, dir_okay=False)]
CHANGES_SHOWN_MAX = 3
"""Changes of one entry that the table shows; --json has all."""


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _writing(group)
    _reading(group)


def _writing(group: typer.Typer) -> None:
    @group.command("import")
    def import_file(file: FileName, json: Json = False, data_dir: DataDir = None) -> None:
        """Save a price list file as the draft of its list, in place of the draft before."""
        with _books(data_dir) as (books, registry):
            text = read_file(file)
            parsed = checked(text, registry)
            _check_id(parsed.id)
            standing = books.draft(parsed.id)
            act = Act(actor(), system_clock())
            draft = books.put_draft(parsed.id, text, standing.revision if standing else 0, act)
        for warning in parsed.warnings:
            complain(f"warning: {warning}")
        if json:
            print_json({"id": draft.id, "revision": draft.revision})
        else:
            say(f"Draft of {draft.id}, revision {draft.revision}. Publish it: stratometer catalogue publish {draft.id}")

    @group.command("publish")
    def publish_draft(
        price_list: Annotated[str, typer.Argument(help="Id of the list whose draft is published.")],
        force: Force = False,
        reason: Reason = "",
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Make a draft the next version of its list, for ever. To change the past takes --force and --reason."""
        with _books(data_dir) as (books, registry):
            draft = books.draft(price_list)
            if draft is None:
                raise Misconfigured([f"there is no draft of {price_list!r}: see stratometer catalogue import"])
            act = Act(actor(), system_clock(), reason)
            version, _ = publish(books, draft.document, registry, act, force=force, draft=draft)
            state = states(books.price_list_versions(price_list), act.at // SECOND)[version.version - 1]
        told = {"id": version.id, "version": version.version, "state": state, "forced": version.forced}
        if json:
            print_json(told | {"effective_from": iso(version.effective_from)})
        else:
            since = iso(version.effective_from)
            say(f"{version.id} v{version.version} is {state.replace('_', ' ')}; it rates differently from {since} on.")


def _reading(group: typer.Typer) -> None:
    @group.command("state")
    def state(
        price_list: Annotated[str | None, typer.Argument(help="Only this list.")] = None,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Show drafts and versions: draft, scheduled, in force or retired."""
        with _books(data_dir) as (books, _):
            rows = _state_rows(books, price_list, system_clock() // SECOND)
        names = ["list", "version", "state", "from", "by", "reason"]
        if json:
            print_json([dict(zip(names, row, strict=True)) for row in rows])
        else:
            print_table("Price lists", names, rows, right=[1])

    @group.command("history")
    def history(
        subject: Annotated[str | None, typer.Argument(help="Only this list, group, account or coupon.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=AUDIT_PAGE_MAX, help="Newest entries shown.")] = 50,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Show who changed what in the catalogue, newest first."""
        with _books(data_dir) as (books, _):
            entries = books.catalogue_audit(limit=limit, subject=subject)
        if json:
            print_json([_entry(entry) for entry in entries])
            return
        names = ["at", "who", "what", "which", "version", "why", "changes"]
        print_table("History of the catalogue", names, [_history_row(entry) for entry in entries], right=[4])


def _state_rows(books: Books, price_list: str | None, now: int) -> list[list[str]]:
    rows: list[list[str]] = []
    drafts = {draft.id: draft for draft in books.drafts() if price_list in (None, draft.id)}
    lists = {one.id for one in books.price_lists() if price_list in (None, one.id)}
    for name in sorted(lists | set(drafts)):
        versions = books.price_list_versions(name)
        for one, found in zip(versions, states(versions, now), strict=True):
            rows.append([name, str(one.version), found, iso(one.effective_from), one.published_by, one.reason])
        if name in drafts:
            draft = drafts[name]
            rows.append([name, "", "draft", "", draft.updated_by, f"revision {draft.revision}"])
    return rows


def _entry(entry: AuditEntry) -> dict[str, object]:
    return {
        "sequence": entry.sequence,
        "at": iso(entry.at // SECOND),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "version": entry.version,
        "reason": entry.reason,
        "digest_before": entry.digest_before,
        "digest_after": entry.digest_after,
        "changes": orjson.loads(entry.changes),
    }


def _history_row(entry: AuditEntry) -> list[str]:
    changes = [Change(**change) for change in orjson.loads(entry.changes)]
    more = len(changes) - CHANGES_SHOWN_MAX
    words = [f"{c.path} {c.kind}" for c in changes[:CHANGES_SHOWN_MAX]] + ([f"and {more} more"] if more > 0 else [])
    version = "" if entry.version is None else str(entry.version)
    return [
        iso(entry.at // SECOND),
        entry.actor,
        entry.action,
        entry.subject,
        version,
        entry.reason,
        "; ".join(words),
    ]


@contextmanager
def _books(data_dir: Path | None) -> Iterator[tuple[Books, Registry]]:
    settings = start(data_dir)
    books = open_books(books_url(settings))
    try:
        yield books, settings.registry()
    finally:
        books.close()


def _check_id(price_list: str) -> None:
    if price_list == NO_PRICE_LIST.id:
        raise Misconfigured([f"{price_list!r} stands for no price list: choose another id"])
