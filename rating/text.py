"""Reads YAML or JSON text into plain values without ever making a binary fraction of a number.

Every scalar stays the text that the author wrote; one that looks like a number and is not quoted is marked `Unquoted`.
So a version "1.10" keeps its zero, `no` is the text no, and an amount is exact. Keys that stand twice and YAML aliases
are refused, because they hide what a list really says.
"""

import json
import re
from typing import Final

import yaml

TEXT_CHARACTERS_MAX: Final = 16 * 1024 * 1024
_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

Value = object
"""None, bool (JSON only), str, list or dict."""


class Unquoted(str):
    """Text of a number that stood without quotation marks."""

    __slots__ = ()


def load(text: str) -> tuple[Value, list[str]]:
    """Return the document's value and every problem of its form; with problems the value may lack parts."""
    if len(text) > TEXT_CHARACTERS_MAX:
        return None, [f"the document has {len(text)} characters; at most {TEXT_CHARACTERS_MAX} are read"]
    problems: list[str] = []
    try:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            return _json(text, problems), problems
        root = yaml.compose(text, Loader=_LOADER)
        return (None if root is None else _value(root, "", problems, set())), problems
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return None, [f"{place}not readable as YAML: {error.problem}"]
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        return None, [f"not readable as YAML or JSON: {error}"]
    except RecursionError:
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


def _value(node: yaml.Node, path: str, problems: list[str], seen: set[int]) -> Value:
    if id(node) in seen:
        problems.append(f"{path}: YAML aliases (*name) are not read; write the value out")
        return None
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        text = str(node.value)
        if node.style is None:
            return None if text in _NULLS else Unquoted(text) if _NUMBER.fullmatch(text) else text
        return text
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{path}[{i}]", problems, seen) for i, item in enumerate(node.value)]
    result: dict[str, Value] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
        inner = f"{path}.{key}".lstrip(".")
        if key in result:
            problems.append(f"{inner}: this key stands twice (line {key_node.start_mark.line + 1})")
        result[key] = _value(value_node, inner, problems, seen)
    return result
