"""What the API does with accepted samples: into a spool of its own, durable before it answers."""

import pyarrow as pa

from collectors.spool import Spool
from schemas.batch import decode
from schemas.period import Clock

COLLECTOR = "api"


class SpoolIngest:
    """Appends to the API's spool; in a cluster a publisher forwards it to Kafka."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
        """Write to `spool`; `clock` gives microseconds since 1970."""
        self._spool, self._clock = spool, clock

    def submit(self, rows: pa.RecordBatch, site: str) -> int:
        """Append rows of one site durably; return how many. Raises Transient when the spool is full."""
        self._spool.append_batch(rows, site, self._clock(), durable=True)
        return rows.num_rows

    def submit_encoded(self, payload: bytes) -> int:
        """Append the rows of a sample batch under the API's own sequence; return how many.

        A batch that is posted again holds the same samples, which their identity makes one; every post is a message of
        its own, so that the counters of all stages agree.
        """
        rows, meta = decode(payload)
        return self.submit(rows, meta.site)
