"""`stratometer deadletters list | replay | drop`: look at what could not be metered, mend the cause, send it again."""

from typing import Annotated, Final

import typer
from confluent_kafka import KafkaException, Producer

from collectors.spool import SAMPLES
from pipeline.dead_letters import DeadLetters, Filed, replayable
from pipeline.kafka import MESSAGE_BYTES_MAX, REQUEST_TIMEOUT_SECONDS, KafkaConfig, quiet
from pipeline.message import DeadLetter
from schemas import topics
from schemas.batch import CONTENT_TYPE, HEADER_CONTENT_TYPE, HEADER_SCHEMA_VERSION, SCHEMA_VERSION
from schemas.errors import Misconfigured, Transient
from schemas.period import SECOND, iso
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import kafka_config, open_dead_letters, open_spool, read_dead_letters
from stratometer.output import print_json, print_table, say
from stratometer.settings import Settings

REPLAYS: Final = "replays"
"""Spool of replayed letters in the embedded deployment; its samples are not counted as new ones."""

Keys = Annotated[list[str] | None, typer.Argument(help="Keys of the letters; none with --all.")]
All = Annotated[bool, typer.Option("--all", help="Every letter that waits.")]
Reason = Annotated[str | None, typer.Option(help="Only letters with this reason.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What could not be metered.", no_args_is_help=True)
    app.add_typer(group, name="deadletters")

    @group.command("list")
    def list_letters(
        reason: Reason = None,
        everything: Annotated[bool, typer.Option("--handled", help="Also replayed and dropped ones.")] = False,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Show the letters that wait."""
        letters = read_dead_letters(start(data_dir))
        found = [f for f in letters.all() if everything or f.state == "waiting"]
        found = [f for f in found if reason in (None, f.letter.reason)]
        if json:
            print_json([describe(f) for f in found])
            return
        rows = [(f.letter.key, f.state, f.letter.reason, f.letter.rows, f.letter.detail) for f in found]
        print_table(f"{len(found)} dead letters", ["key", "state", "reason", "rows", "detail"], rows, right=[3])

    @group.command("replay")
    def replay(keys: Keys = None, all_: All = False, reason: Reason = None, data_dir: DataDir = None) -> None:
        """Send letters again, after the cause was mended (for example, the meter declared)."""
        settings = start(data_dir)
        with open_dead_letters(settings) as letters:
            payloads, refused = _replayable(_chosen(letters, keys or [], all_, reason))
            _send(settings, payloads)
            for letter, _ in payloads:
                letters.mark(letter, "replayed")
        say(f"sent again: {len(payloads)}; `stratometer deadletters list` shows those that come back")
        if refused:
            raise Misconfigured(refused)

    @group.command("drop")
    def drop(keys: Keys = None, all_: All = False, reason: Reason = None, data_dir: DataDir = None) -> None:
        """Give letters up. They stay counted, as dropped."""
        with open_dead_letters(start(data_dir)) as letters:
            chosen = _chosen(letters, keys or [], all_, reason)
            for letter in chosen:
                letters.mark(letter, "dropped")
        say(f"dropped: {len(chosen)}")


def describe(filed: Filed) -> dict[str, object]:
    """Return a letter as plain values, without its payload."""
    letter = filed.letter
    return {
        "key": letter.key,
        "state": filed.state,
        "origin": letter.origin,
        "reason": letter.reason,
        "detail": letter.detail,
        "rows": letter.rows,
        "died_at": iso(letter.died_at // SECOND),
    }


def _chosen(letters: DeadLetters, keys: list[str], all_: bool, reason: str | None) -> list[DeadLetter]:
    waiting = {f.letter.key: f.letter for f in letters.all() if f.state == "waiting"}
    if not all_ and not keys and reason is None:
        raise Misconfigured(["name letters by key, or choose --all or --reason"])
    unknown = [key for key in keys if key not in waiting]
    if unknown:
        raise Misconfigured([f"no letter waits under {key!r}: see `stratometer deadletters list`" for key in unknown])
    return [w for w in waiting.values() if (not keys or w.key in keys) and reason in (None, w.reason)]


def _replayable(letters: list[DeadLetter]) -> tuple[list[tuple[DeadLetter, bytes]], list[str]]:
    """Return the letters that can be sent again, each with its batch, and why the others cannot."""
    payloads: list[tuple[DeadLetter, bytes]] = []
    refused: list[str] = []
    for letter in letters:
        try:
            payloads.append((letter, replayable(letter)))
        except Misconfigured as error:
            refused += error.problems
    return payloads, refused


def _send(settings: Settings, payloads: list[tuple[DeadLetter, bytes]]) -> None:
    if settings.deployment == "cluster":
        _send_to_kafka(kafka_config(settings), [payload for _, payload in payloads])
        return
    with open_spool(settings, REPLAYS) as spool:
        for letter, payload in payloads:
            spool.append(SAMPLES, payload, samples=letter.rows)
        spool.flush()


def _send_to_kafka(config: KafkaConfig, payloads: list[bytes]) -> None:
    settings = config.client(acks="all", enable_idempotence=True, message_max_bytes=MESSAGE_BYTES_MAX)
    producer = Producer(settings | {"error_cb": quiet})
    headers: list[tuple[str, str | bytes | None]] = [
        (HEADER_CONTENT_TYPE, CONTENT_TYPE),
        (HEADER_SCHEMA_VERSION, str(SCHEMA_VERSION)),
    ]
    confirmed: list[bool] = []
    try:
        for payload in payloads:
            producer.produce(
                config.topic(topics.SAMPLES),
                value=payload,
                headers=headers,
                on_delivery=lambda error, _: confirmed.append(error is None),
            )
        producer.flush(REQUEST_TIMEOUT_SECONDS)
    except (KafkaException, BufferError) as error:
        raise Transient(f"Kafka: {error}; no letter is marked, run the command again") from error
    if confirmed.count(True) < len(payloads):
        raise Transient("the brokers did not take every replayed letter; none is marked, run the command again")
