"""A child process that appends until it is killed; prints each sequence once it is durable."""

import sys
from pathlib import Path

from collectors.spool import Spool, SpoolSettings


def main(directory: str) -> None:
    settings = SpoolSettings(spool_bytes_max=2**30, segment_bytes=60_000, group_milliseconds=5)
    with Spool(Path(directory), "c1", settings) as spool:
        sys.stdout.write(f"opened {spool.last_sequence}\n")
        sys.stdout.flush()
        while True:
            number = spool.last_sequence + 1
            sequence = spool.append("samples", number.to_bytes(8, "big") * (number % 300), samples=2, durable=True)
            sys.stdout.write(f"{sequence}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
