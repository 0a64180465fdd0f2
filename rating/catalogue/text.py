"""Reads YAML or JSON text into plain values without ever making a binary fraction of a number.

Every scalar stays the text that the author wrote; one that looks like a number and is not quoted is marked `Unquoted`.
So a version "1.10" keeps its zero, `no` is the text no, and an amount is exact. Keys that stand twice and YAML aliases
are refused, because they hide what a list really says.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

import yaml

TEXT_CHARACTERS_MAX: Final = 16 * 1024 * 1024
NESTING_MAX: Final = 16
_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

Value = object
"""None, bool (JSON only), str, list or dict."""


class Unquoted(str):
    """Text of a number that stood without quotation marks."""

    __slots__ = ()


class _TooDeep(Exception):
    """Nested beyond NESTING_MAX."""


def load(text: str) -> tuple[Value, list[str]]:
    """Return the document's value and every problem of its form; with problems the value may lack parts."""
    if len(text) > TEXT_CHARACTERS_MAX:
        return None, [f"the document has {len(text)} characters; at most {TEXT_CHARACTERS_MAX} are read"]
    problems: list[str] = []
    try:
        read = _json if text.lstrip("\ufeff \t\r\n").startswith("{") else _yaml
        return read(text, problems), problems
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return None, [f"{place}not readable as YAML: {error.problem}"]
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        return None, [f"not readable as YAML or JSON: {error}"]
    except (_TooDeep, RecursionError):
        return None, ["not readable: nested too deeply"]


def _json(text: str, problems: list[str]) -> Value:
    def pairs(items: list[tuple[str, Value]]) -> dict[str, Value]:
        keys = [key for key, _ in items]
        problems.extend(f"key {key!r} stands twice in one object" for key in sorted(set(keys)) if keys.count(key) > 1)
        return dict(items)

    return json.loads(
        text.lstrip("\ufeff"),
        parse_float=Unquoted,
        parse_int=Unquoted,
        parse_constant=Unquoted,
        object_pairs_hook=pairs,
    )


def _yaml(text: str, problems: list[str]) -> Value:
    # From events: libyaml's composer recurses without a bound, and a text of a hundred thousand brackets kills it.
    events = yaml.parse(text, Loader=_LOADER)
    starts = (event for event in events if isinstance(event, yaml.DocumentStartEvent))
    values = [_value(next(events), events, "", problems, 0) for _ in starts]
    if len(values) > 1:
        problems.append("there are several YAML documents (---); write one")
    return values[0] if values else None


def _value(event: yaml.Event, events: Iterator[yaml.Event], path: str, problems: list[str], depth: int) -> Value:
    """Return the value that begins with an event, taking its further events."""
    if depth > NESTING_MAX:
        raise _TooDeep
    if isinstance(event, yaml.AliasEvent):
        problems.append(f"{path}: YAML aliases (*name) are not read; write the value out")
        return None
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(str(event.value), plain=not event.style)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Value] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(_value(inner, events, f"{path}[{len(items)}]", problems, depth + 1))
        return items
    result: dict[str, Value] = {}
    while not isinstance(inner := next(events), yaml.MappingEndEvent):
        key = str(_value(inner, events, path, problems, depth + 1))
        place = f"{path}.{key}".lstrip(".")
        if key in result:
            problems.append(f"{place}: this key stands twice")
        result[key] = _value(next(events), events, place, problems, depth + 1)
    return result


def _scalar(text: str, *, plain: bool) -> Value:
    if not plain:
        return text
    return None if text in _NULLS else Unquoted(text) if _NUMBER.fullmatch(text) else text
