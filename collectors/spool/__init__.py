"""The spool: a collector's durable store and forward log; in the embedded deployment it is the log itself.

`writer` appends, `reader` follows with durable cursors; `segment`, `file` and `frame` know the bytes on disk,
`opening` repairs after a kill, `cursor` and `lock` keep the small files beside them.
"""

from collectors.spool.settings import SpoolSettings
from collectors.spool.writer import RESOURCES, SAMPLES, Spool

__all__ = ["RESOURCES", "SAMPLES", "Spool", "SpoolSettings"]
