"""Finishes the OpenAPI document: security of each route from its declared scope, and problems as the only errors."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.auth import SCOPE_KEY
from api.problems import MEDIA_TYPE, ProblemBody

_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer sm_<id>_<secret>"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_GENERATED: Final = ("HTTPValidationError", "ValidationError")
_PROBLEM: Final = {"$ref": "#/components/responses/Problem"}


def install(app: FastAPI) -> None:
    """Make the application describe itself with these additions; the document is built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _GENERATED:
        schemas.pop(name, None)
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["securitySchemes"] = _SCHEMES
    components["responses"] = {
        "Problem": {
            "description": "RFC 9457 problem details",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            _finish(operation)
    return document


def _finish(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    responses["4XX"] = _PROBLEM
    responses["503"] = _PROBLEM
    if operation.get(SCOPE_KEY) != "public":
        operation["security"] = [{name: []} for name in _SCHEMES]
