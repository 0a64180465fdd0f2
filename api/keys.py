"""API keys: `sm_<id>_<secret>`. Only the SHA-256 of the secret is kept, which suffices for 256 random bits."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

from billing.protocol import ApiKey, Role

PREFIX: Final = "sm"
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
TOKEN_CHARS_MAX: Final = 256


def new_key(
    role: Role,
    account: str | None = None,
    site: str | None = None,
    expires_at: int | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[ApiKey, str]:
    """Return a key for the books and the token that its holder gets to see once.

    Args:
        role: what it may do.
        account: root of the subtree it sees; required for ``tenant``, refused for others.
        site: for ``ingest``: the only site it writes to.
        expires_at: seconds since 1970, or None.
        random: source of random bytes.

    Raises:
        ValueError: role, account and site do not fit together.
    """
    token = f"{PREFIX}_{random(ID_BYTES).hex()}_{_text(random(SECRET_BYTES))}"
    return key_of(token, role, account, site, expires_at), token


def key_of(
    token: str, role: Role, account: str | None = None, site: str | None = None, expires_at: int | None = None
) -> ApiKey:
    """Return the key that a given token opens, for example the first admin's from the settings.

    Raises:
        ValueError: not a token, or role, account and site do not fit together.
    """
    parts = parse(token)
    if parts is None:
        raise ValueError(f"a token reads {PREFIX}_<id>_<secret>")
    if (role == "tenant") != (account is not None):
        raise ValueError("a tenant key needs the account it is confined to; no other key has one")
    if site is not None and role != "ingest":
        raise ValueError("only an ingest key is confined to a site")
    return ApiKey(parts[0], digest_of(parts[1]), role, account, site, expires_at)


def parse(token: str) -> tuple[str, str] | None:
    """Return (id, secret) of a token, or None when it is none."""
    prefix, _, rest = token.partition("_")
    key, _, secret = rest.partition("_")
    if prefix != PREFIX or not key or not secret or len(token) > TOKEN_CHARS_MAX or not token.isascii():
        return None
    return key, secret


def opens(key: ApiKey | None, secret: str, now_seconds: int) -> bool:
    """Tell whether a secret opens a key now; takes the same time for an unknown key as for a wrong secret."""
    expected = key.secret_sha256 if key is not None else digest_of("")
    right = hmac.compare_digest(expected, digest_of(secret))
    if key is None or not right or key.revoked:
        return False
    return key.expires_at is None or now_seconds < key.expires_at


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
