"""`stratometer settle`: debits for closed billing cycles, adjustments for late data."""

import time
from typing import Annotated

import structlog
import typer

from billing.settlement import drift_micros
from pipeline.settle import SettleReport
from schemas.errors import Transient
from schemas.money import decimal_text
from schemas.period import SECOND, iso
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import open_parts
from stratometer.exit_codes import Exit
from stratometer.output import print_json, print_table, problems, progress, say

log = structlog.get_logger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def settle(
        watch: Annotated[int, typer.Option(help="Repeat every so many seconds; 0 runs once.")] = 0,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Post debits for every billing cycle that is closed. Repeating it posts nothing twice."""
        settings = start(data_dir)
        while True:
            try:
                with open_parts(settings) as parts, progress("settling", "cycles", quiet=json) as update:
                    report = parts.settler.run(update)
            except Transient as error:
                if not watch:
                    raise
                log.warning("a store is away, settling later", error=str(error))
                time.sleep(watch)
                continue
            show(report, json=json)
            if not report.examined and not json:
                margin = settings.settle.cutoff_margin_seconds
                say(f"Nothing was due. What was stored in the last {margin} s is left to the next run.")
            if report.problems:
                problems("These accounts could not be settled and are tried again by the next run:", report.problems)
            if not watch:
                raise typer.Exit(Exit.CHECK_FAILED if report.problems else Exit.OK)
            time.sleep(watch)


def show(report: SettleReport, *, json: bool) -> None:
    """Print what a run did."""
    if json:
        print_json(
            {
                "cutoff": iso(report.cutoff // SECOND),
                "examined": report.examined,
                "problems": list(report.problems),
                "settlements": [
                    {
                        "account": s.account,
                        "cycle_start": iso(s.cycle_start),
                        "cycle_end": iso(s.cycle_end),
                        "number": s.number,
                        "total": decimal_text(s.total_micros),
                        "posted": decimal_text(s.posted_micros),
                        "drift": decimal_text(drift_micros(s)),
                        "currency": s.currency,
                        "transfer": s.transfer_id,
                    }
                    for s in report.settlements
                ],
            }
        )
        return
    summary: dict[tuple[str, str], list[int]] = {}
    for s in report.settlements:
        row = summary.setdefault((s.account, s.currency), [0, 0, 0])
        row[0] += 1
        row[1] += s.posted_micros
        row[2] += drift_micros(s)
    rows = [(a, n, decimal_text(posted), c, decimal_text(drift)) for (a, c), (n, posted, drift) in summary.items()]
    title = f"Settled as of {iso(report.cutoff // SECOND)}: {report.examined} cycles examined"
    print_table(title, ["account", "settlements", "posted", "currency", "drift"], rows, right=[1, 2, 4])
