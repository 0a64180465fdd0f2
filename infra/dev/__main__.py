"""`python -m infra.dev fetch|up|down|status|env [--json] [kafka clickhouse postgres]`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence

from infra.dev import running
from infra.dev.cache import ServerNotAvailableError
from infra.dev.process import ServerError

NEXT = """\
# Point your shell at them:  eval "$(python -m infra.dev env)"
# Then, each in a terminal of its own after the first:
#   stratometer migrate
#   stratometer worker
#   stratometer api
#   stratometer collect simulate
"""


def say(text: str) -> None:
    """Tell the person, beside what programs read from standard output."""
    sys.stderr.write(f"{text}\n")


def shell(exports: dict[str, str]) -> str:
    """Lines for a shell's eval."""
    return "".join(f"export {key}={shlex.quote(value)}\n" for key, value in exports.items())


def fetch(names: Sequence[str]) -> int:
    """Fetch what the servers need, so that a later start needs no network."""
    for name in names:
        running.FETCHERS[name]()
        say(f"{name} is ready to start")
    return 0


def up(names: Sequence[str], as_json: bool) -> int:
    """Start the servers and print how to use them."""
    exports = running.exports(running.up(names, say))
    sys.stdout.write(json.dumps(exports, indent=2) + "\n" if as_json else shell(exports) + NEXT)
    return 0


def status(names: Sequence[str], as_json: bool) -> int:
    """Print what runs; 1 if something that was asked for does not."""
    entries = running.load()
    rows: dict[str, dict[str, object]] = {}
    for name in names:
        entry = entries.get(name)
        state = "down" if entry is None else "up" if entry.runs else "ended by itself"
        rows[name] = {"state": state}
        if entry is not None:
            rows[name] |= {"pid": entry.process.pid, "log": entry.log, "exports": entry.exports}
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        for name, row in rows.items():
            where = f"pid {row['pid']}, log {row['log']}" if "pid" in row else ""
            sys.stdout.write(f"{name:<11}{row['state']:<17}{where}".rstrip() + "\n")
    return 0 if all(row["state"] == "up" for row in rows.values()) else 1


def env(names: Sequence[str], as_json: bool) -> int:
    """Print the environment for the product; 1 if nothing runs."""
    entries = {name: entry for name, entry in running.load().items() if name in names and entry.runs}
    exports = running.exports(entries)
    sys.stdout.write(json.dumps(exports, indent=2) + "\n" if as_json else shell(exports))
    if not exports:
        say("nothing runs; start with: python -m infra.dev up")
    return 0 if exports else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.dev", description="Start and stop real servers on loopback.")
    parser.add_argument("command", choices=["fetch", "up", "down", "status", "env"])
    parser.add_argument("servers", nargs="*", metavar="server", help=f"of {', '.join(running.SERVERS)}; default all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.servers) - running.SERVERS.keys())
    if unknown:
        parser.error(f"no such server: {', '.join(unknown)}")
    names = [name for name in running.SERVERS if name in options.servers or not options.servers]
    try:
        match options.command:
            case "fetch":
                return fetch(names)
            case "up":
                return up(names, options.json)
            case "down":
                running.down(names, say)
                return 0
            case "status":
                return status(names, options.json)
            case _:
                return env(names, options.json)
    except (ServerNotAvailableError, ServerError) as error:
        say(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
