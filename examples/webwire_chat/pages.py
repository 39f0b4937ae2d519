"""The page, its script and webwire's client for browsers, served on the port of the WebSocket."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import wirecore_browser
from wirecore_trio import webwire

HERE: Final = Path(__file__).parent

#: No script, style or connection but those of this server: should text ever become markup, it
#: can't do anything.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", wirecore_browser.MEDIA_TYPE),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}


class Pages:
    """Answers requests that are no WebSocket's; for ``before_upgrade``."""

    def __init__(self) -> None:
        bodies = {path: ((HERE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
        bodies["/webwire.js"] = wirecore_browser.module(), wirecore_browser.MEDIA_TYPE
        self._answers = {path: _answers(*entry) for path, entry in bodies.items()}

    async def __call__(self, request: webwire.HttpRequest) -> webwire.Response | None:
        """What is asked for, or None: it is the chat's WebSocket."""
        if request.is_upgrade:
            return None
        if request.method != "GET":
            return webwire.Response(405, {"Allow": "GET"})
        if request.path not in self._answers:
            return webwire.Response(404, {"Content-Type": "text/plain"}, b"not here\n")
        tag, whole, unchanged = self._answers[request.path]
        known = (request.header("if-none-match") or b"").decode("latin-1")
        return unchanged if tag in known else whole


def _answers(body: bytes, kind: str) -> tuple[str, webwire.Response, webwire.Response]:
    """The tag of *body*, the answer with it, and the one to who has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    # Kept by the browser, and asked for each time: a new version is seen at once.
    cached = {"Cache-Control": "no-cache", "ETag": tag}
    headers = {
        **cached,
        "Content-Type": kind,
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return tag, webwire.Response(200, headers, body), webwire.Response(304, cached)
