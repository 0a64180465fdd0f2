"""Every error the API answers with: RFC 9457 problem details, `application/problem+json`. docs/api.md explains each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from billing.catalogue import BackDated
from schemas.cloudevents import BadEvents
from schemas.errors import Conflict, Misconfigured, Poison, StratometerError, Transient

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5
ERRORS_MAX: Final = 100
"""Single errors listed in one answer."""

KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "bad-events": (400, "Events that cannot be taken"),
    "bad-batch": (400, "A sample batch that cannot be read"),
    "unauthenticated": (401, "A valid key is needed"),
    "forbidden": (403, "This key may not do that"),
    "not-found": (404, "Nothing here under that name"),
    "method-not-allowed": (405, "This address does not take that method"),
    "conflict": (409, "Contradicts what is stored"),
    "back-dating": (409, "The past would change"),
    "idempotency-conflict": (409, "The idempotency key was used with another body"),
    "precondition-failed": (412, "Somebody else was faster"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "This content type is not read here"),
    "invalid-request": (422, "A parameter or field is wrong"),
    "unknown-meter": (422, "No such meter"),
    "invalid-cursor": (422, "The cursor does not belong to this query"),
    "invalid-price-list": (422, "A price list with mistakes"),
    "too-much": (422, "The answer would be too long"),
    "request-error": (400, "The request cannot be served"),
    "internal": (500, "Our mistake"),
    "unavailable": (503, "Try again soon"),
}
"""Slug of the problem type → status and title."""


class ErrorItem(BaseModel):
    """One of several errors: where, and how to mend it."""

    pointer: str = Field(description="JSON pointer into the body, or the name of a parameter")
    detail: str


class ProblemBody(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="/problems/<slug>, explained in docs/api.md")
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")
    errors: list[ErrorItem] = Field(default_factory=list)


class Problem(Exception):
    """Ends a request with a problem; `kind` is a key of KINDS."""

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Sequence[ErrorItem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors, self.headers = kind, detail, tuple(errors), dict(headers or {})


@dataclass(frozen=True)
class _Answer:
    kind: str
    detail: str
    errors: Sequence[ErrorItem] = ()
    headers: Mapping[str, str] | None = None
    status: int | None = None


def invalid(pointer: str, detail: str, kind: str = "invalid-request") -> Problem:
    """Return the problem of one wrong parameter or field."""
    return Problem(kind, f"{pointer}: {detail}", [ErrorItem(pointer=pointer, detail=detail)])


def unavailable(detail: str, errors: Sequence[ErrorItem] = ()) -> Problem:
    """Return a 503 that says when to come back."""
    return Problem("unavailable", detail, errors, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def install(app: FastAPI) -> None:
    """Turn every error of the application into a problem."""

    def on_problem(request: Request, error: Exception) -> Response:
        return _response(request, _answer(error))

    def on_internal(request: Request, error: Exception) -> Response:
        # Neither headers nor body are logged: they hold keys and customers' data.
        structlog.get_logger("api").error(
            "request failed", method=request.method, path=request.url.path, error=type(error).__name__, exc_info=error
        )
        return _response(request, _Answer("internal", "the request failed on our side; it was logged"))

    for kind in (Problem, StratometerError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, on_problem)
    app.add_exception_handler(Exception, on_internal)


def _response(request: Request, answer: _Answer) -> Response:
    status, title = KINDS[answer.kind]
    status = answer.status or status
    body = ProblemBody(
        type=f"/problems/{answer.kind}",
        title=title,
        status=status,
        detail=answer.detail,
        instance=request.url.path,
        errors=list(answer.errors[:ERRORS_MAX]),
    )
    return Response(body.model_dump_json(), status, dict(answer.headers or {}), MEDIA_TYPE)


def _answer(error: Exception) -> _Answer:
    match error:
        case Problem():
            return _Answer(error.kind, error.detail, error.errors, error.headers)
        case BadEvents():
            items = [ErrorItem(pointer=p.pointer, detail=p.detail) for p in error.problems]
            return _Answer("bad-events", error.detail, items)
        case Poison():
            return _Answer("bad-batch", error.detail, [ErrorItem(pointer="", detail=error.reason)])
        case Misconfigured():
            items = [ErrorItem(pointer=p.partition(":")[0], detail=p) for p in error.problems]
            return _Answer("invalid-price-list", f"{len(items)} mistakes; the list was not recorded", items)
        case BackDated():
            pointer = error.change.partition(":")[0]
            return _Answer("back-dating", str(error), [ErrorItem(pointer=pointer, detail=error.change)])
        case Conflict():
            return _Answer("conflict", str(error))
        case Transient():
            retry = unavailable("a store or the log is away for the moment; the same request may be sent again")
            return _Answer(retry.kind, retry.detail, headers=retry.headers)
        case RequestValidationError():
            return _validation(error)
        case HTTPException():
            return _http(error)
    return _Answer("internal", "the request failed on our side")


def _validation(error: RequestValidationError) -> _Answer:
    items = []
    for found in error.errors():
        place, *path = (str(part) for part in found["loc"])
        pointer = "/" + "/".join(path) if place == "body" else ".".join(path)
        items.append(ErrorItem(pointer=pointer, detail=str(found["msg"]).removeprefix("Value error, ")))
    return _Answer("invalid-request", "; ".join(f"{i.pointer}: {i.detail}" for i in items[:3]), items)


_HTTP_KINDS: Final = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}


def _http(error: HTTPException) -> _Answer:
    kind = _HTTP_KINDS.get(error.status_code, "request-error")
    details = {
        404: "there is nothing at this address; /v1/openapi.json and docs/api.md list what there is",
        405: "this address does not take that method; the Allow header lists those it takes",
    }
    detail = details.get(error.status_code, str(error.detail or HTTPStatus(error.status_code).phrase))
    return _Answer(kind, detail, headers=error.headers, status=error.status_code)
