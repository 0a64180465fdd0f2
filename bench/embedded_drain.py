"""Drains the spools of a folder into chDB and prints how long it took: `python -m bench.embedded_drain FOLDER`."""

import resource
import sys
import time
from pathlib import Path

import orjson

from stratometer.compose import embedded, open_dead_letters, open_parts
from stratometer.prepare import prepare
from stratometer.settings import Settings


def main(folder: Path) -> None:
    """Meter everything in the spools; rating has no account here, and so nothing to do."""
    settings = Settings(dev=True, data_dir=folder)
    with open_parts(settings) as parts, open_dead_letters(settings) as letters:
        prepare(parts)
        stream = embedded(parts, letters)
        began = time.perf_counter()
        while stream.feed.step():
            pass
        seconds = time.perf_counter() - began
        unique = parts.warehouse.counters().unique
        stream.feed.close()
    resident_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.buffer.write(orjson.dumps({"seconds": seconds, "unique": unique, "resident_mib": resident_mib}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
