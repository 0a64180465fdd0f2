"""Who calls, and whether the route is open to that role. `access` is the one way to declare a route."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Request

from api import keys
from api.problems import Problem
from api.services import Use
from billing.protocol import ApiKey, Role
from schemas.period import SECOND

Scope = Literal["public", "tenant", "provider", "ingest"]
PROVIDER: Final[tuple[Role, ...]] = ("admin", "product", "finance", "reader")
"""The provider's own people: they read every tenant's data."""
READ: Final[tuple[Role, ...]] = (*PROVIDER, "tenant")
SCOPE_KEY: Final = "x-scope"
ROLES_KEY: Final = "x-roles"


def caller(request: Request, use: Use) -> ApiKey:
    """Return the key that the request carries; answers 401 without saying which part was wrong."""
    token = token_of(request)
    parts = keys.parse(token) if token else None
    if parts is not None:
        key = use.books.api_key(parts[0])
        if keys.opens(key, parts[1], use.clock() // SECOND) and key is not None:
            return key
    text = "this key is unknown, expired or revoked" if token else "send Authorization: Bearer sm_… or X-API-Key: sm_…"
    raise Problem("unauthenticated", text, headers={"WWW-Authenticate": 'Bearer realm="stratometer"'})


Caller = Annotated[ApiKey, Depends(caller)]


def actor_of(key: ApiKey) -> str:
    """Return how the audit names who called."""
    return f"key:{key.id}"


def token_of(request: Request) -> str | None:
    """Return the token of a request's headers, or None. Never from the address, which ends in logs."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("x-api-key")


def _require(roles: tuple[Role, ...]) -> Callable[[ApiKey], None]:
    def check(key: Caller) -> None:
        if key.role not in roles:
            raise Problem("forbidden", f"a key of role {key.role} may not do this; it takes {', '.join(roles)}")

    return check


def access(scope: Scope, *roles: Role, **extra: Any) -> dict[str, Any]:
    """Return the arguments of a route that declare its scope in the OpenAPI document and enforce its roles.

    Args:
        scope: whose data the route can touch; the matrix test is generated from it.
        roles: who may call; none only for ``public``.
        extra: further keys for the route's OpenAPI operation.

    Raises:
        ValueError: a route that is not public without a role.
    """
    if (scope == "public") == bool(roles):
        raise ValueError("a route is either public or open to some roles")
    declared = {**extra, SCOPE_KEY: scope, ROLES_KEY: list(roles)}
    return {"openapi_extra": declared, "dependencies": [Depends(_require(roles))] if roles else []}
