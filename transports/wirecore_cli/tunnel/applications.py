"""What can be published: ``MODULE:APP`` names an application of ASGI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wirecore_trio._arguments import require_async
from wirecore_trio.rest import AsyncioApp

from ..references import Kind

if TYPE_CHECKING:
    from wirecore_trio.rest._asgi_types import App


def _is_app(found: Any) -> bool:
    try:
        require_async("app", found, "scope", "receive", "send")
    except TypeError:
        return False
    return True


_APP: Final = Kind(
    name="app",
    example="shop:app",
    command="tunnel publish",
    fits=_is_app,
    lacking="an application of ASGI is async, and takes scope, receive and send",
)


def load_app(reference: str, folder: Path, loop: str) -> App:
    """The application that *reference* names or makes, see :class:`Kind`, for trio.

    *loop*: "asyncio" has it run on a loop of its own. Raises Failure.
    """
    app: App = _APP.find(reference, folder)
    return AsyncioApp(app) if loop == "asyncio" else app
