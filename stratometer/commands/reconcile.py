"""`stratometer reconcile`: the counters of every stage side by side; fails when an equation does not hold."""

from dataclasses import asdict

import typer

from billing.journal import all_transfers
from billing.ledger import ADJUSTMENT, DEBIT, wallet_micros
from collectors.spool import SAMPLES
from collectors.spool.opening import totals_of
from pipeline.dead_letters import DeadLetters, counts
from pipeline.reconcile import Check, checks, duplicates
from schemas.period import FOREVER, Period
from stratometer.commands.common import DataDir, Json, start
from stratometer.commands.deadletters import REPLAYS
from stratometer.compose import Parts, open_dead_letters, open_parts, spools_dir
from stratometer.exit_codes import Exit
from stratometer.output import print_json, print_table
from stratometer.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def reconcile(json: Json = False, data_dir: DataDir = None) -> None:
        """Compare the counters of every stage; exits 1 when any two that must agree do not."""
        settings = start(data_dir)
        with open_parts(settings) as parts, open_dead_letters(settings) as letters:
            found, facts = compare(parts, letters)
        if json:
            print_json({"counters": facts, "checks": [asdict(c) | {"holds": c.holds} for c in found]})
        else:
            print_table("Counters", ["stage", "count"], list(facts.items()), right=[1])
            show(found)
        if not all(c.holds for c in found):
            raise typer.Exit(Exit.CHECK_FAILED)


def compare(parts: Parts, letters: DeadLetters) -> tuple[list[Check], dict[str, int]]:
    """Return every check and the counters behind them."""
    settings = parts.settings
    counters = parts.warehouse.counters()
    dead = counts(letters)
    everything = Period(0, FOREVER)
    rated = sum(r.amount_micros for r in parts.warehouse.ratings(None, everything) if r.settled)
    wallets = settled_micros(parts)
    appended = appended_samples(settings)
    facts = {
        "collected (spools of this machine)": appended,
        "metered (distinct messages)": counters.accepted,
        "stored": counters.stored,
        "dead rows": counters.dead,
        "replayed": counters.replayed,
        "unique samples": counters.unique,
        "further copies": duplicates(counters),
        "messages": counters.messages,
        **{f"dead letters {state}": rows for state, rows in dead.items()},
        "settled rated micro-units": rated,
        "debited micro-units": wallets,
    }
    return checks(appended if settings.deployment == "embedded" else None, counters, dead, rated, wallets), facts


def settled_micros(parts: Parts) -> int:
    """Return Σ micro-units taken from wallets by debits and adjustments."""
    return -sum(
        wallet_micros(posted.transfer)
        for posted in all_transfers(parts.books, None)
        if posted.transfer.kind in (DEBIT, ADJUSTMENT)
    )


def appended_samples(settings: Settings) -> int:
    """Return the samples that the spools of this machine took in, replays of dead letters not counted."""
    folders = [d for d in spools_dir(settings).glob("*") if d.is_dir() and d.name != REPLAYS]
    tallies = [totals_of(folder).get(SAMPLES) for folder in folders]
    return sum(tally.samples for tally in tallies if tally)


def show(found: list[Check]) -> None:
    """Print the checks."""
    rows = [(c.name, c.left, c.right, "holds" if c.holds else f"DIFFERS by {c.left - c.right}") for c in found]
    print_table("Checks", ["check", "left", "right", ""], rows, right=[1, 2])
