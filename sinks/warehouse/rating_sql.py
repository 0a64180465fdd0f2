"""SQL of ratings and their lines: pure functions.

Of an (account, window) a settled rating beats a live one, then the highest revision counts, then the one that was
stored first. Its lines are those with the same revision and stored_at: each attempt to write a rating is a set of
lines of its own, so that an attempt that died leaves nothing visible, and a repeated one nothing twice.
"""

from collections.abc import Collection, Sequence
from typing import Final

from schemas.period import Period
from sinks.warehouse.claims import numbers
from sinks.warehouse.protocol import LINE_SCHEMA, NOW, Rating

WINDOW: Final = "account_id, window_start, window_end"
ATTEMPT: Final = f"{WINDOW}, revision, stored_at"
LINE_KEY: Final = "segment_start, segment_end, resource_id, meter_id, attributes_id, price_id, digest"
LINE_COLUMNS: Final = ", ".join(LINE_SCHEMA.names)
ORDER: Final = (
    "window_start, window_end, segment_start, segment_end, resource_id, meter_id, attributes_id, price_id, digest"
)
RATING_COLUMNS: Final = (
    f"{WINDOW}, revision, settled, price_list, price_list_version, currency, lines, unpriced, amount_micros, digest,"
    " stored_at"
)


def ratings_sql(account_ids: Sequence[int] | None, period: Period | None, cutoff: int, *, inside: bool = False) -> str:
    """Return the SQL of the valid rating of each window, by account and window.

    Args:
        account_ids: whose; None for all.
        period: windows that overlap it; None for all.
        cutoff: only ratings stored before it.
        inside: only windows that lie inside the period.
    """
    conditions = [f"account_id IN {numbers(account_ids)}"] if account_ids is not None else []
    if period and inside:
        conditions += [f"window_start >= {period.start}", f"window_end <= {period.end}"]
    elif period:
        conditions += [f"window_start < {period.end}", f"window_end > {period.start}"]
    conditions += [f"stored_at < {cutoff}"] if cutoff < NOW else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {RATING_COLUMNS} FROM ratings{where}"
        f" ORDER BY {WINDOW}, settled DESC, revision DESC, stored_at LIMIT 1 BY {WINDOW}"
    )


def newest_windows_sql(account_ids: Sequence[int] | None, limit: int) -> str:
    """Return the SQL of window and stored_at of the newest attempts that have lines, valid or not, newest first."""
    own = f" AND account_id IN {numbers(account_ids)}" if account_ids is not None else ""
    return f"SELECT {WINDOW}, stored_at FROM ratings WHERE lines > 0{own} ORDER BY stored_at DESC LIMIT {limit}"


def valid_sql(windows: Collection[tuple[int, int, int]]) -> str:
    """Return the SQL of the valid rating of each given (account_id, window start, window end)."""
    accounts, starts = numbers(account for account, _, _ in windows), [start for _, start, _ in windows]
    return (
        f"SELECT {RATING_COLUMNS} FROM ratings WHERE account_id IN {accounts}"
        f" AND window_start >= {min(starts)} AND window_start <= {max(starts)}"
        f" AND ({WINDOW}) IN ({', '.join(map(str, sorted(windows)))})"
        f" ORDER BY {WINDOW}, settled DESC, revision DESC, stored_at LIMIT 1 BY {WINDOW}"
    )


def attempts(ratings: Sequence[tuple[Rating, int]]) -> str:
    """Return the condition on lines that they belong to the given ratings, each with its stored_at."""
    rows = (
        f"({r.account_id}, {r.window.start}, {r.window.end}, {r.revision}, {stored_at})" for r, stored_at in ratings
    )
    accounts = numbers(r.account_id for r, _ in ratings)
    first, last = min(r.window.start for r, _ in ratings), max(r.window.start for r, _ in ratings)
    return (
        f"account_id IN {accounts} AND window_start >= {first} AND window_start <= {last}"
        f" AND ({ATTEMPT}) IN ({', '.join(rows)})"
    )


def lines_sql(ratings: Sequence[tuple[Rating, int]], after: int, limit: int | None) -> str:
    """Return the SQL of the lines of the given ratings of one account, in the order of LINE_SCHEMA."""
    page = f" LIMIT {after}, {2**62 if limit is None else limit}" if after or limit is not None else ""
    return (
        f"SELECT {LINE_COLUMNS} FROM lines WHERE {attempts(ratings)}"
        f" ORDER BY {ORDER} LIMIT 1 BY {ATTEMPT}, {LINE_KEY}{page}"
    )


def newest_lines_sql(ratings: Sequence[tuple[Rating, int]], limit: int) -> str:
    """Return the SQL of the newest lines of the given ratings: latest stored first, then the latest segment."""
    return (
        f"SELECT {LINE_COLUMNS}, account_id, stored_at FROM lines WHERE {attempts(ratings)}"
        f" ORDER BY stored_at DESC, segment_start DESC, account_id, {ORDER} LIMIT 1 BY {ATTEMPT}, {LINE_KEY}"
        f" LIMIT {limit}"
    )


def line_sql(account_id: int, digest: int, in_global: str) -> str:
    """Return the SQL of every line of an account with a digest that was ever valid, newest first."""
    valid = f"SELECT {ATTEMPT} FROM ratings WHERE account_id = {account_id}"
    return (
        f"SELECT {LINE_COLUMNS}, revision FROM lines WHERE account_id = {account_id} AND digest = {digest}"
        f" AND ({ATTEMPT}) {in_global} ({valid})"
        f" ORDER BY revision DESC, {ORDER} LIMIT 1 BY {WINDOW}, revision, {LINE_KEY}"
    )


def superseded_sql(before: int, in_global: str) -> str:
    """Return the SQL of the attempts with live lines stored before an instant that no rating valid then shows."""
    valid = f"SELECT {ATTEMPT} FROM ({ratings_sql(None, None, before)})"
    not_in = in_global.replace("IN", "NOT IN")
    return (
        f"SELECT DISTINCT {ATTEMPT} FROM lines WHERE settled = 0 AND stored_at < {before}"
        f" AND ({ATTEMPT}) {not_in} ({valid})"
    )
