"""What wsrpc can serve: ``MODULE:SERVICE`` names a service, or functions by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wirecore.errors import InvalidOption
from wirecore_trio.wsrpc import Server

from .references import Kind, wrong


def _is_service(found: Any) -> bool:
    return isinstance(found, Mapping) or bool(getattr(found, "wsrpc_methods", None))


_SERVICE: Final = Kind(
    name="service",
    example="shop:Shop",
    command="wsrpc serve",
    fits=_is_service,
    lacking="it has no wsrpc_methods, "
    "as the classes of generated code and of wirecore_trio.wsrpc.ping have them",
)


def load_services(references: Sequence[str], folder: Path) -> Iterator[tuple[str, Any]]:
    """Each of *references* with what it names: a service, or a mapping of functions.

    Modules are looked for in *folder* first. Raises Failure, which says what to do.
    """
    for reference in references:
        yield reference, _SERVICE.find(reference, folder)


def register(server: Server, reference: str, service: Any, *, inline: bool) -> list[str]:
    """Have *server* serve *service*, which *reference* names; the names of its methods.

    Raises Failure where it is no service, or a name is served already.
    """
    try:
        if isinstance(service, Mapping):
            for name, handler in service.items():
                server.handle(name, handler, inline=inline)
            return [*service]
        server.register(service, inline=inline)
        return [*service.wsrpc_methods]
    except (InvalidOption, TypeError) as error:
        raise wrong(f"{reference}: {error}") from error
