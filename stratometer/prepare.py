"""Makes the stores ready: schemas, topics, and the names that the analysts' views spell out."""

from pipeline.kafka import create_topics
from stratometer.compose import Parts, kafka_config


def prepare(parts: Parts, *, dry_run: bool = False) -> dict[str, list[str]]:
    """Bring schemas and topics up to date; return the steps taken (or, dry, those that would be) by store.

    Raises:
        Transient: a server is away.
        Invariant: a migration that was applied has changed since.
    """
    done = {
        "warehouse": list(parts.warehouse.migrate(dry_run=dry_run)),
        "books": list(parts.books.migrate(dry_run=dry_run)),
    }
    if dry_run:
        return done
    meters = {m.id: (m.key, m.base, m.display_unit, m.display[m.display_unit]) for m in parts.registry}
    parts.warehouse.write_names(meters=meters)
    if parts.settings.deployment == "cluster":
        done["kafka"] = create_topics(kafka_config(parts.settings))
    return done
