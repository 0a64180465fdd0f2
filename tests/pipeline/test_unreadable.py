"""Messages that cannot be read become dead letters with a reason; the partition moves on."""

import random

import pyarrow as pa
import pytest

from pipeline.message import Message
from schemas.batch import BATCH_BYTES_MAX, SCHEMA, SCHEMA_VERSION, BatchMeta, decode, encode, table_of
from tests.pipeline.rows import NOW, T0, Row, batch, columns, message, metered, payload_with

META = {
    "schema_version": str(SCHEMA_VERSION),
    "site": "vc-1",
    "collector": "c1",
    "sequence": "1",
    "collected_at": "1",
    "replay_of": "",
}
ROWS = table_of(columns([Row(), Row(start=T0 + 300)]))
COLUMNS = [ROWS.column(i) for i in range(len(SCHEMA))]


def reason(payload: bytes) -> tuple[str, str]:
    """Return reason and detail; the good message beside it is stored."""
    result = metered(message([Row()], 1), Message(payload, "samples/0/2"), message([Row(start=T0 + 300)], 3))
    (letter,) = result.dead
    assert len(result.block.samples["rank"]) == 2
    assert (letter.key, letter.rows, letter.payload) == ("message samples/0/2", 1, payload)
    assert sorted((i.samples, i.stored, i.dead) for i in result.block.intake) == [(1, 0, 1), (1, 1, 0), (1, 1, 0)]
    return letter.reason, letter.detail


def with_column(name: str, values: pa.Array) -> bytes:
    changed = list(COLUMNS)
    changed[SCHEMA.names.index(name)] = values
    return payload_with(changed, SCHEMA.names, META)


def test_a_batch_cut_off_anywhere_is_a_dead_letter() -> None:
    """Invariants 1 and 4: also where it is cut between two Arrow messages, and would pass for a batch of no rows."""
    whole = batch([Row(), Row(start=T0 + 300, attributes='{"tier":"gold"}')])
    for length in range(len(whole)):
        result = metered(Message(whole[:length], "samples/0/9"))
        assert [d.reason for d in result.dead] == ["bad_arrow"], length
        assert len(result.block.samples["rank"]) == 0


def test_bytes_changed_at_random_never_stop_the_stream() -> None:
    """Invariant 4; the seed is in the source, so that a failure repeats."""
    whole = batch([Row(start=T0 + 300 * i, resource=f"vm/{i}", attributes='{"tier":"gold"}') for i in range(5)])
    chance = random.Random(20261001)
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        result = metered(Message(bytes(broken), "samples/0/1"))
        assert sum(i.samples for i in result.block.intake) == len(result.block.samples["rank"]) + sum(
            d.rows for d in result.dead
        )


@pytest.mark.parametrize("payload", [b"", b"\0" * 100, b'{"specversion": "1.0"}', b"ARROW1\0\0"])
def test_what_is_no_arrow(payload: bytes) -> None:
    assert reason(payload)[0] == "bad_arrow"


def test_another_schema_version() -> None:
    found = reason(payload_with(COLUMNS, SCHEMA.names, META | {"schema_version": "2"}))
    assert found == ("wrong_version", "schema version 2; this reader understands 1")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"site": ""}, "lacks site"),
        ({"collector": ""}, "lacks collector"),
        ({"sequence": "x"}, "must be integers"),
        ({"sequence": "-1"}, "between 0"),
        ({"sequence": "9" * 30}, "between 0"),
        ({"collected_at": "1.5"}, "must be integers"),
        ({"site": "vc\0vm/1"}, "NUL"),
        ({"site": "x" * 600}, "at most 512"),
    ],
)
def test_metadata_that_cannot_name_a_batch(changed: dict[str, str], told: str) -> None:
    """Invariant 4: what the warehouse could not store is refused before it gets there."""
    found, detail = reason(payload_with(COLUMNS, SCHEMA.names, META | changed))
    assert found == "no_metadata"
    assert told in detail


def test_wrong_columns_are_all_named() -> None:
    values = [pa.array([1.5, 2.5]), *COLUMNS[1:]]
    names = ["surprise", *SCHEMA.names[1:]]
    found, detail = reason(payload_with(values, names, META))
    assert found == "bad_schema"
    assert "column resource is missing" in detail
    assert "column surprise is unknown" in detail


@pytest.mark.parametrize("name", ["quantity", "cell_start", "covered_seconds"])
@pytest.mark.parametrize("values", [[1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_fractions_and_nan_are_refused_by_the_type(name: str, values: list[float]) -> None:
    found, detail = reason(with_column(name, pa.array(values)))
    assert (found, f"column {name} is double" in detail) == ("bad_schema", True)


@pytest.mark.parametrize("name", [f.name for f in SCHEMA if not f.nullable])
def test_nulls_where_a_value_must_be(name: str) -> None:
    """Invariant 4: a null would become a strange number, or stop the stream."""
    kind = SCHEMA.field(name).type
    values: list[object] = [COLUMNS[SCHEMA.names.index(name)][0].as_py(), None]
    column = pa.array(values, pa.utf8()).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(values, kind)
    found, detail = reason(with_column(name, column))
    assert (found, f"column {name} has 1 nulls" in detail) == ("bad_schema", True)


@pytest.mark.parametrize("name", ["resource", "meter", "tenant", "attributes", "event_source"])
def test_nulls_hidden_in_a_dictionary(name: str) -> None:
    """Invariant 4."""
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["{}", None]))
    found, detail = reason(with_column(name, column))
    assert (found, f"column {name} has a null in its dictionary" in detail) == ("bad_schema", True)


def test_too_many_bytes() -> None:
    """Invariant 5: 10 MB are refused unread."""
    found, detail = reason(b"x" * 10_000_000)
    assert (found, str(BATCH_BYTES_MAX) in detail) == ("too_large", True)


def test_columns_in_another_order_are_the_same_batch() -> None:
    """Invariants 2 and 4: and a neighbour in the usual order is not disturbed."""
    order = list(reversed(range(len(SCHEMA))))
    shuffled = payload_with([COLUMNS[i] for i in order], [SCHEMA.names[i] for i in order], META)
    usual = encode(ROWS, BatchMeta("vc-1", "c1", 1, 1))
    together = metered(Message(usual, "a"), Message(shuffled, "b")).block.samples
    assert {n: c[:2].tolist() for n, c in together.items()} == {n: c[2:].tolist() for n, c in together.items()}


def test_several_record_batches_in_one_message_are_one_batch() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, SCHEMA.with_metadata(META), options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    ) as w:
        for part in (Row(), Row(resource="vm/2"), Row(resource="vm/3", tenant="beta")):
            w.write_batch(table_of(columns([part])))
    rows, meta = decode(sink.getvalue().to_pybytes())
    assert (rows.column("resource").to_pylist(), meta.sequence) == (["vm/1", "vm/2", "vm/3"], 1)
    assert len(metered(Message(sink.getvalue().to_pybytes(), "o"), now=NOW).block.samples["rank"]) == 3
