"""The commands, one file each; each file has a `register` that adds its commands to the application."""

import typer

from stratometer.commands import (
    apply,
    catalogue,
    collect,
    coupons,
    deadletters,
    demo,
    doctor,
    export,
    keys,
    migrate,
    rate,
    reconcile,
    serve,
    settle,
    simulate,
    worker,
)


def register(app: typer.Typer) -> None:
    """Add every command."""
    for module in (
        demo,
        serve,
        worker,
        collect,
        settle,
        simulate,
        migrate,
        apply,
        catalogue,
        coupons,
        deadletters,
        rate,
        reconcile,
        export,
        keys,
        doctor,
    ):
        module.register(app)
