"""Ratings and their lines."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import Invariant
from schemas.period import Period
from sinks.warehouse import rating_sql
from sinks.warehouse.engine import Values
from sinks.warehouse.names_store import NameStore, integers
from sinks.warehouse.protocol import LINE_SCHEMA, NOW, Rating

LINE_DTYPES: Final = {
    "window_start": "u4",
    "window_end": "u4",
    "segment_start": "u4",
    "segment_end": "u4",
    "resource_id": "u8",
    "meter_id": "u4",
    "attributes_id": "u8",
    "price_id": "u8",
    "quantity": "i8",
    "covered_seconds": "i8",
    "amount_micros": "i8",
    "usage_digest": "u8",
    "digest": "u8",
}
"""Columns of a line as stored, NumPy type of each."""
ATTEMPTS_MAX: Final = 5_000
"""Ratings whose lines one statement asks for."""
NEWEST_ATTEMPTS_MAX: Final = 1_000
"""Newest attempts to write a rating among which the newest lines are looked for, however many ratings there are."""


class RatingStore(NameStore):
    """Writes and reads ratings and lines."""

    def write_rating(self, ratings: Sequence[Rating], lines: pa.Table, stored_at: int) -> None:
        """Store lines of the given windows, then the ratings that make them valid. All ratings are of one account.

        Raises:
            Invariant: several accounts, a line outside the given windows, or two lines with all keys equal.
        """
        if not ratings:
            if lines.num_rows:
                raise Invariant("lines without a rating would never be seen")
            return
        if len({r.account_id for r in ratings}) != 1:
            raise Invariant("one call writes the ratings of one account")
        if lines.num_rows:
            self.put("lines", _line_columns(ratings, lines), stored_at)
        columns: dict[str, Values] = {
            name: integers(int(getattr(r, name)) for r in ratings)
            for name in ("account_id", "revision", "lines", "unpriced", "digest")
        }
        columns["window_start"] = integers((r.window.start for r in ratings), "u4")
        columns["window_end"] = integers((r.window.end for r in ratings), "u4")
        columns["settled"] = integers((int(r.settled) for r in ratings), "u1")
        columns["price_list_version"] = integers((r.price_list_version for r in ratings), "u4")
        columns["amount_micros"] = integers((r.amount_micros for r in ratings), "i8")
        columns["price_list"] = [r.price_list for r in ratings]
        columns["currency"] = [r.currency for r in ratings]
        self.put("ratings", columns, stored_at)

    def ratings(self, account_ids: Sequence[int] | None, period: Period, cutoff: int = NOW) -> Sequence[Rating]:
        """Return the valid rating of each window that overlaps the period, by account and window."""
        return [rating for rating, _ in self._ratings(rating_sql.ratings_sql(account_ids, period, cutoff))]

    def lines(
        self, account_id: int, period: Period, cutoff: int = NOW, after: int = 0, limit: int | None = None
    ) -> pa.Table:
        """Return valid lines as LINE_SCHEMA of windows inside the period, the first `after` rows skipped."""
        valid = self._ratings(rating_sql.ratings_sql([account_id], period, cutoff, inside=True))
        valid = [(rating, stored_at) for rating, stored_at in valid if rating.lines]
        parts: list[pa.Table] = []
        # Windows are in order, and every rating says how many lines it has: whole groups are skipped unread.
        for group in (valid[i : i + ATTEMPTS_MAX] for i in range(0, len(valid), ATTEMPTS_MAX)):
            count = sum(rating.lines for rating, _ in group)
            if after >= count:
                after -= count
                continue
            if limit is not None and limit <= 0:
                break
            part = self.engine.select(rating_sql.lines_sql(group, after, limit))
            parts.append(part.select(LINE_SCHEMA.names).cast(LINE_SCHEMA))
            after, limit = 0, None if limit is None else limit - part.num_rows
        return pa.concat_tables(parts) if parts else LINE_SCHEMA.empty_table()

    def line(self, account_id: int, digest: int) -> pa.Table:
        """Return the rows (LINE_SCHEMA plus `revision`) of the lines of an account with that digest, newest first."""
        schema = LINE_SCHEMA.append(pa.field("revision", pa.uint64()))
        found = self.engine.select(rating_sql.line_sql(account_id, digest, self.engine.capability.in_global))
        return found.select(schema.names).cast(schema)

    def newest_lines(self, account_ids: Sequence[int] | None, limit: int) -> pa.Table:
        """Return the newest valid lines over accounts: LINE_SCHEMA plus account_id and stored_at.

        Only the ratings among the newest NEWEST_ATTEMPTS_MAX are looked at, so fewer than `limit` may come back.
        """
        schema = LINE_SCHEMA.append(pa.field("account_id", pa.uint64())).append(pa.field("stored_at", pa.uint64()))
        newest = self.engine.select(rating_sql.newest_windows_sql(account_ids, NEWEST_ATTEMPTS_MAX)).to_pylist()
        if not newest or limit <= 0:
            return schema.empty_table()
        windows = {(row["account_id"], row["window_start"], row["window_end"]) for row in newest}
        oldest = newest[-1]["stored_at"]
        # What is valid may be older than what was stored last, such as a settled rating: then it is no news.
        valid = [pair for pair in self._ratings(rating_sql.valid_sql(windows)) if pair[1] >= oldest]
        chosen: list[tuple[Rating, int]] = []
        count = 0
        for rating, stored_at in sorted(valid, key=lambda pair: -pair[1]):
            if count >= limit and stored_at != chosen[-1][1]:
                break
            if rating.lines:
                chosen.append((rating, stored_at))
                count += rating.lines
        if not chosen:
            return schema.empty_table()
        found = self.engine.select(rating_sql.newest_lines_sql(chosen, limit))
        return found.select(schema.names).cast(schema)

    def _ratings(self, sql: str) -> list[tuple[Rating, int]]:
        return [
            (
                Rating(
                    account_id=row["account_id"],
                    window=Period(row["window_start"], row["window_end"]),
                    revision=row["revision"],
                    price_list=row["price_list"],
                    price_list_version=row["price_list_version"],
                    currency=row["currency"],
                    lines=row["lines"],
                    unpriced=row["unpriced"],
                    amount_micros=row["amount_micros"],
                    digest=row["digest"],
                    settled=bool(row["settled"]),
                ),
                row["stored_at"],
            )
            for row in self.engine.select(sql).to_pylist()
        ]


def _line_columns(ratings: Sequence[Rating], lines: pa.Table) -> dict[str, Values]:
    table = lines.select(LINE_SCHEMA.names).cast(LINE_SCHEMA).combine_chunks()
    if table.group_by(LINE_SCHEMA.names).aggregate([]).num_rows != table.num_rows:
        raise Invariant("two lines of a rating are equal in everything: they would be stored as one")
    columns: dict[str, npt.NDArray[np.generic]] = {name: table.column(name).to_numpy() for name in LINE_SCHEMA.names}
    revision = np.zeros(table.num_rows, dtype="u8")
    settled = np.zeros(table.num_rows, dtype="u1")
    placed = np.zeros(table.num_rows, dtype=np.bool_)
    for rating in ratings:
        own = (columns["window_start"] == rating.window.start) & (columns["window_end"] == rating.window.end)
        revision[own], settled[own] = rating.revision, int(rating.settled)
        placed |= own
    if not placed.all():
        raise Invariant("a line lies in a window that has no rating")
    stored: dict[str, Values] = {name: columns[name].astype(dtype) for name, dtype in LINE_DTYPES.items()}
    account = np.full(table.num_rows, ratings[0].account_id, dtype="u8")
    return {"account_id": account, "revision": revision, "settled": settled, **stored}
