"""GET /: the live page, one hand-made HTML file with its own style and script; works without any other host."""

import html
from importlib import resources
from typing import Final

from fastapi import APIRouter, Response

from api.auth import access
from api.services import Use

router = APIRouter(include_in_schema=False)

CSP: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_FILES: Final = {"live.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


def _text(name: str) -> str:
    return resources.files("api").joinpath("static", name).read_text(encoding="utf-8")


@router.get("/", **access("public"))
def live_page(use: Use) -> Response:
    """Return the live page; in dev on loopback it carries the viewer's key, else it asks for one."""
    page = _text("live.html")
    page = page.replace("{{viewer_key}}", html.escape(use.viewer_key or "", quote=True))
    page = page.replace("{{version}}", html.escape(use.version, quote=True))
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": CSP})


@router.get("/static/{name}", **access("public"))
def static_file(name: str) -> Response:
    """Return one of the page's own files."""
    if name not in _FILES:
        return Response(status_code=404)
    return Response(_text(name), media_type=_FILES[name], headers={"Cache-Control": "max-age=300"})
