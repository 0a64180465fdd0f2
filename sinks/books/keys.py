"""Keys to the API: the hash of the secret, never the secret."""

import re
from dataclasses import asdict
from typing import Final

from sqlalchemy import Connection, Row, insert, select, update

from billing.protocol import ApiKey
from sinks.books import accounts
from sinks.books.schema import api_keys

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def put(connection: Connection, key: ApiKey) -> None:
    """Create or change a key.

    Raises:
        ValueError: no id, no SHA-256, or a tenant's key without an account.
        Conflict: the account is unknown.
    """
    if not key.id or not _SHA256.fullmatch(key.secret_sha256):
        raise ValueError("a key needs an id and the SHA-256 of its secret in 64 small hexadecimal digits")
    if key.role == "tenant" and key.account is None:
        raise ValueError(f"key {key.id}: a tenant's key needs the account it is confined to")
    if key.account is not None:
        accounts.require(connection, key.account)
    if get(connection, key.id) is None:
        connection.execute(insert(api_keys), asdict(key))
    else:
        connection.execute(update(api_keys).where(api_keys.c.id == key.id), asdict(key))


def get(connection: Connection, key: str) -> ApiKey | None:
    """Return a key by its public id."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key)).one_or_none()
    return _key(row) if row else None


def all_of(connection: Connection) -> list[ApiKey]:
    """Return all keys, by id in code point order."""
    return sorted(map(_key, connection.execute(select(api_keys))), key=lambda key: key.id)


def _key(row: Row[*tuple[object, ...]]) -> ApiKey:
    return ApiKey(**row._mapping)
