"""Finding the newest sequence of a spool from outside, cheaply enough to ask every second."""

import os
from pathlib import Path

from collectors.spool.frame import HEADER_BYTES, parse_header
from collectors.spool.segment import first_sequence_of, next_whole, segments


class Head:
    """Follows the end of the newest segment by hopping over headers, without reading payloads."""

    def __init__(self, directory: Path) -> None:
        """Look at nothing yet."""
        self._directory = directory
        self._path: Path | None = None
        self._offset = 0
        self._sequence = 0

    def sequence(self) -> int:
        """Return the newest whole record's sequence, 0 while the spool is empty."""
        listed = segments(self._directory)
        if not listed:
            return 0
        if listed[-1] != self._path:
            self._path, self._offset, self._sequence = listed[-1], 0, first_sequence_of(listed[-1]) - 1
        descriptor = os.open(listed[-1], os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._follow(descriptor)
        finally:
            os.close(descriptor)
        return self._sequence

    def _follow(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if size < self._offset:  # the writer was restarted and cut off a torn tail
            self._offset = 0
        while self._offset < size:
            header = parse_header(os.pread(descriptor, HEADER_BYTES, self._offset))
            if header is None:
                beyond = next_whole(descriptor, self._offset)
                if beyond is None:
                    return
                self._offset = beyond
                continue
            if self._offset + header.frame_bytes > size:
                return
            self._offset += header.frame_bytes
            self._sequence = max(self._sequence, header.sequence)
