"""CloudEvents 1.0 in: JSON events, one or a batch, become rows of the sample batch, by site. Pure.

Two shapes are understood:

- an event whose `type` feeds an **event meter** (`Meter.event_type`): one sample in the second in which it happened;
- `com.stratometer.sample.v1`: `data` is one **cell sample** of a gauge, rate or counter.

`subject` is the resource (``kind/native id``; without a slash it becomes ``subject/<subject>``). Extension attributes:
`tenant` names the owner (the subject, when absent), `site` the platform installation. Source of the envelope's rules:
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson
import pyarrow as pa

from schemas.batch import (
    ATTRIBUTES_MAX,
    BATCH_BYTES_MAX,
    FUTURE_SECONDS_MAX,
    NAME_LENGTH_MAX,
    OLDEST_CELL,
    canonical_attributes,
    table_of,
)
from schemas.errors import Poison
from schemas.identity import REVISION_MAX
from schemas.meters import EVENT_CELL_SECONDS, QUANTITY_MAX, Meter, Registry
from schemas.period import iso

CONTENT_TYPE_ONE: Final = "application/cloudevents+json"
CONTENT_TYPE_BATCH: Final = "application/cloudevents-batch+json"
CONTENT_TYPE_JSON: Final = "application/json"
SAMPLE_TYPE: Final = "com.stratometer.sample.v1"
SITE_DEFAULT: Final = "api"

EVENTS_MAX: Final = 1_000
"""Events of one request."""
BODY_BYTES_MAX: Final = BATCH_BYTES_MAX
PROBLEMS_MAX: Final = 100
"""Problems listed of one request; the rest is counted."""

Json = Mapping[str, object]
_KIND: Final = re.compile("[A-Za-z0-9_-]*[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class EventProblem:
    """What is wrong with one event: its place in the request from 0, the field, and how to mend it."""

    index: int
    field: str
    detail: str

    @property
    def pointer(self) -> str:
        """JSON pointer into a batch, for example ``/3/data/quantity``."""
        return f"/{self.index}/{self.field.replace('.', '/')}".rstrip("/")


class BadEvents(Poison):
    """A request of events that cannot be taken; none of it was."""

    def __init__(self, reason: str, detail: str, problems: Sequence[EventProblem] = ()) -> None:
        super().__init__(reason, detail)
        self.problems = tuple(problems)


@dataclass
class _Event:
    """One event being read; `problems` collects what is wrong with it."""

    index: int
    fields: Json
    now: int
    problems: list[EventProblem] = field(default_factory=list)

    def bad(self, name: str, detail: str) -> None:
        self.problems.append(EventProblem(self.index, name, detail))

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a text attribute of the envelope; a missing one without default is a problem."""
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        return _text(self, name, value)


def parse(body: bytes, *, batch: bool | None = None) -> list[Json]:
    """Return the events of a request body.

    Args:
        body: JSON text.
        batch: True asks for an array, False for one object, None takes either.

    Raises:
        BadEvents: not JSON, not the announced shape, none or too many events.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadEvents(
            "bad_json", f"the body is not JSON: {error}. Send UTF-8 JSON; NaN and Infinity are not JSON numbers"
        ) from error
    if batch is True and not isinstance(document, list):
        raise BadEvents("bad_json", f"{CONTENT_TYPE_BATCH} holds an array of events; send [ … ] or {CONTENT_TYPE_ONE}")
    if batch is False and not isinstance(document, dict):
        raise BadEvents("bad_json", f"{CONTENT_TYPE_ONE} holds one event; send one object or {CONTENT_TYPE_BATCH}")
    events = document if isinstance(document, list) else [document]
    if not events:
        raise BadEvents("no_events", "the request holds no event: send at least one")
    if len(events) > EVENTS_MAX:
        raise BadEvents("too_many", f"{len(events)} events; a request holds at most {EVENTS_MAX}: send several")
    bad = [EventProblem(i, "", "is not a JSON object") for i, e in enumerate(events) if not isinstance(e, dict)]
    if bad:
        raise _refused(bad)
    return events


def rows_by_site(
    events: Sequence[Json], registry: Registry, now: int, site: str | None = None
) -> Mapping[str, pa.RecordBatch]:
    """Return a record batch in the sample schema for each site; all events or none.

    Args:
        events: decoded JSON objects, as `parse` returns them.
        registry: the meters of this installation.
        now: seconds since 1970: time of an event that carries none, and the base of what counts as far future.
        site: the only site the sender may write to; None takes the extension attribute `site`, or `SITE_DEFAULT`.

    Raises:
        BadEvents: lists every problem of every event, up to PROBLEMS_MAX.
    """
    problems: list[EventProblem] = []
    rows: dict[str, list[Mapping[str, object]]] = {}
    for index, fields in enumerate(events):
        event = _Event(index, fields, now)
        place, row = _place(event, site), _row(event, registry)
        problems += event.problems
        if not event.problems:
            rows.setdefault(place, []).append(row)
    if problems:
        raise _refused(problems)
    return {place: _table(found) for place, found in sorted(rows.items())}


def _refused(problems: Sequence[EventProblem]) -> BadEvents:
    events = len({p.index for p in problems})
    more = f"; the first {PROBLEMS_MAX} of {len(problems)} problems are listed" if len(problems) > PROBLEMS_MAX else ""
    detail = f"{events} of the events cannot be taken, so none was: mend them and send the request again{more}"
    return BadEvents("bad_events", detail, problems[:PROBLEMS_MAX])


def _table(rows: Sequence[Mapping[str, object]]) -> pa.RecordBatch:
    return table_of({name: pa.array([row[name] for row in rows], _PLAIN[name]) for name in _PLAIN})


_PLAIN: Final[Mapping[str, pa.DataType]] = {
    "resource": pa.utf8(),
    "meter": pa.utf8(),
    "cell_start": pa.int64(),
    "cell_seconds": pa.int32(),
    "quantity": pa.int64(),
    "covered_seconds": pa.int32(),
    "tenant": pa.utf8(),
    "attributes": pa.utf8(),
    "revision": pa.int32(),
    "event_source": pa.utf8(),
    "event_id": pa.utf8(),
}


def _place(event: _Event, site: str | None) -> str:
    named = event.text("site", default=site or SITE_DEFAULT)
    if site is not None and named != site:
        event.bad("site", f"this key writes to site {site!r} only: leave the attribute out or use that site's key")
    return named


def _row(event: _Event, registry: Registry) -> Mapping[str, object]:
    _envelope(event)
    kind, source, event_id, subject = (event.text(name) for name in ("type", "source", "id", "subject"))
    resource = subject if "/" in subject else f"subject/{subject}"
    sort, _, native = resource.partition("/")
    if subject and not (native and _KIND.fullmatch(sort)):
        event.bad("subject", "must be kind/native id, such as vm/4217-ab; a kind is of a-z, A-Z, 0-9, - and _")
    elif len(resource) > NAME_LENGTH_MAX:
        event.bad("subject", f"makes a resource of {len(resource)} characters; at most {NAME_LENGTH_MAX} are kept")
    tenant = event.text("tenant", default=subject)
    data = event.fields.get("data")
    if data is not None and not isinstance(data, dict):
        event.bad("data", "must be a JSON object")
    data = data if isinstance(data, dict) else {}
    common = {"resource": resource, "tenant": tenant}
    if kind == SAMPLE_TYPE:
        return {**common, **_cell_sample(event, data, registry), "tenant": _optional(event, data, "tenant", tenant)}
    return {**common, **_event_sample(event, kind, data, registry), "event_source": source, "event_id": event_id}


def _envelope(event: _Event) -> None:
    if event.fields.get("specversion") != "1.0":
        event.bad("specversion", 'must be "1.0"')
    media = event.fields.get("datacontenttype")
    if media is not None and not (isinstance(media, str) and media.split(";")[0].strip().endswith("json")):
        event.bad("datacontenttype", "must be application/json or absent")
    if event.fields.get("data_base64") is not None:
        event.bad("data_base64", "binary data is not read: send `data` as a JSON object")


def _event_sample(event: _Event, kind: str, data: Json, registry: Registry) -> Mapping[str, object]:
    meter = registry.by_event_type.get(kind)
    if meter is None:
        if kind:
            event.bad("type", f"no meter takes events of type {kind!r}: GET /v1/meters lists the types")
        return {}
    if meter.kind != "event":
        event.bad("type", f"{meter.key} is a {meter.kind}: send its samples as type {SAMPLE_TYPE}")
        return {}
    shape = meter.event
    name = shape.value if shape and shape.value else "value"
    counted = name not in data and not (shape and shape.value)
    sources = dict(shape.attributes) if shape and shape.attributes else {a: a for a in meter.attributes}
    return {
        "meter": meter.key,
        "cell_start": _time(event),
        "cell_seconds": EVENT_CELL_SECONDS,
        "covered_seconds": EVENT_CELL_SECONDS,
        "quantity": 1 if counted else _integer(event, f"data.{name}", data.get(name), 0, QUANTITY_MAX),
        "attributes": _attributes(event, {a: (f"data.{n}", data[n]) for a, n in sources.items() if n in data}),
        "revision": 0,
    }


def _cell_sample(event: _Event, data: Json, registry: Registry) -> Mapping[str, object]:
    key = data.get("meter")
    meter = registry.meters.get(key) if isinstance(key, str) else None
    if meter is None:
        event.bad("data.meter", f"{key!r} is no meter of this installation: GET /v1/meters lists them")
        return {}
    if meter.kind == "event":
        event.bad("data.meter", f"{meter.key} counts events: send type {meter.event_type!r} instead of {SAMPLE_TYPE}")
        return {}
    given = data.get("attributes")
    if given is not None and not isinstance(given, dict):
        event.bad("data.attributes", "must be a JSON object of texts")
    texts = {str(k): (f"data.attributes.{k}", v) for k, v in given.items()} if isinstance(given, dict) else {}
    covered = _integer(event, "data.covered_seconds", data.get("covered_seconds", meter.cell), 0, meter.cell)
    quantity = _integer(event, "data.quantity", data.get("quantity"), 0, QUANTITY_MAX)
    if quantity and data.get("covered_seconds") in (0, "0"):
        event.bad("data.covered_seconds", "nothing can be used in 0 s: say how much of the cell is known")
    return {
        "meter": meter.key,
        "cell_start": _cell_start(event, data.get("cell_start"), meter),
        "cell_seconds": meter.cell,
        "covered_seconds": covered,
        "quantity": quantity,
        "attributes": _attributes(event, texts),
        "revision": _integer(event, "data.revision", data.get("revision", 0), 0, REVISION_MAX),
        "event_source": None,
        "event_id": None,
    }


def _time(event: _Event) -> int:
    stamp = event.fields.get("time")
    return event.now if stamp is None else _instant(event, "time", stamp)


def _cell_start(event: _Event, stamp: object, meter: Meter) -> int:
    second = _instant(event, "data.cell_start", stamp)
    if second % meter.cell:
        grid = iso(second - second % meter.cell)
        event.bad("data.cell_start", f"{meter.key} has cells of {meter.cell} s aligned to UTC: this one begins {grid}")
    return second


def _instant(event: _Event, name: str, stamp: object) -> int:
    try:
        moment = datetime.fromisoformat(stamp) if isinstance(stamp, str) else None
        # Far years overflow when they are turned to UTC.
        second = int(moment.timestamp()) if moment and moment.tzinfo else -1
    except (ValueError, OverflowError, OSError):
        second = -1
    if second < OLDEST_CELL:
        event.bad(
            name, f"must be an RFC 3339 time with a zone, such as 2026-10-01T12:00:00Z, not before {iso(OLDEST_CELL)}"
        )
        return 0
    if second > event.now + FUTURE_SECONDS_MAX:
        event.bad(name, f"{iso(min(second, _YEAR_9999))} lies more than {FUTURE_SECONDS_MAX} s ahead: mend the clock")
        return 0
    return second


_YEAR_9999: Final = 253_402_300_799


def _integer(event: _Event, name: str, value: object, low: int, high: int) -> int:
    """Return a whole number; digits as text (as OpenMeter's clients send them) and 5.0 count as whole."""
    number: int | None = None
    match value:
        case str() if value.isascii() and value.isdigit() and len(value) < 20:
            number = int(value)
        case float() if value.is_integer():
            number = int(value)
        case int() if not isinstance(value, bool):
            number = value
    if number is None:
        shown = orjson.dumps(value).decode()[:40]
        event.bad(name, f"{shown} is not a whole number: send the meter's base units as an integer")
    elif not low <= number <= high:
        event.bad(name, f"{number} is outside {low} to {high}")
    else:
        return number
    return 0


def _attributes(event: _Event, found: Mapping[str, tuple[str, object]]) -> str:
    if len(found) > ATTRIBUTES_MAX:
        event.bad("data.attributes", f"{len(found)} attributes; a sample carries at most {ATTRIBUTES_MAX}")
        return "{}"
    texts: dict[str, str] = {}
    for key, (name, value) in found.items():
        _text(event, name, key)
        if isinstance(value, bool):
            texts[key] = "true" if value else "false"
        else:
            texts[key] = _text(event, name, str(value) if isinstance(value, int) else value)
    return canonical_attributes(texts)


def _optional(event: _Event, data: Json, name: str, default: str) -> str:
    return default if data.get(name) is None else _text(event, f"data.{name}", data[name])


def _text(event: _Event, name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        event.bad(name, "is required: a text that is not empty" if value is None else "must be a text, not empty")
    elif len(value) > NAME_LENGTH_MAX:
        event.bad(name, f"has {len(value)} characters; at most {NAME_LENGTH_MAX} are kept")
    elif any(c < " " or c == "\x7f" for c in value):
        # NUL joins the parts of a key (schemas.ids); no control character has a meaning in a name.
        event.bad(name, "holds a control character: remove it")
    else:
        return value
    return ""
