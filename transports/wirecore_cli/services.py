"""Finding what to serve: from ``MODULE:SERVICE`` to a service, or to functions by their names."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from wirecore.errors import InvalidOption, kind_of
from wirecore_trio.wsrpc import Server

from .failures import Failure, Status


def load_services(references: Sequence[str], folder: Path) -> Iterator[tuple[str, Any]]:
    """Each of *references* with what it names: a service, or a mapping of functions.

    Modules are looked for in *folder* first. Raises Failure, which says what to do.
    """
    # As `python -m` has it, and servers of web applications.
    sys.path.insert(0, str(folder.resolve()))
    for reference in references:
        module, colon, name = reference.partition(":")
        if not (colon and module and name):
            raise _wrong(f"a service is MODULE:SERVICE, as shop:Shop, not {reference!r}")
        yield reference, _service(_find(_load(module, folder), name, reference), reference)


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
        raise _wrong(f"{reference}: {error}") from error


def _load(name: str, folder: Path) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # What the module itself lacks is another matter, and its own text says what.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from error
        hint = _near(error.name, [path.stem for path in folder.glob("*.py")])
        raise _wrong(
            f"there is no module {error.name!r}, neither in {folder.resolve()} nor installed"
            f"{hint or ': --app-dir names another folder'}"
        ) from error
    except Exception as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> Failure:
    return _wrong(
        f"importing {name} failed: {type(error).__name__}: {error} "
        "('wirecore --debug wsrpc serve ...' shows where)"
    )


def _find(module: ModuleType, name: str, reference: str) -> Any:
    found: Any = module
    owner = module.__name__
    for part in name.split("."):
        if not hasattr(found, part):
            hint = _near(part, [each for each in dir(found) if not each.startswith("_")])
            raise _wrong(f"{reference}: {owner} has no {part!r}{hint}")
        found = getattr(found, part)
        owner = f"{owner}.{part}"
    return found


def _service(found: Any, reference: str) -> Any:
    """What *found* is or makes: a service object, or a mapping."""
    if not isinstance(found, type) and (_is_service(found) or isinstance(found, Mapping)):
        return found
    if callable(found):
        made = _made_by(found, reference)
        if _is_service(made) or isinstance(made, Mapping):
            return made
        what = f"{reference} makes {kind_of(made)}, which"
    else:
        what = f"{reference} is {kind_of(found)}, which"
    raise _wrong(
        f"{what} is no service: it has no wsrpc_methods, "
        "as the classes of generated code and of wirecore_trio.wsrpc.ping have them"
    )


def _is_service(found: Any) -> bool:
    return bool(getattr(found, "wsrpc_methods", None))


def _made_by(factory: Any, reference: str) -> Any:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise _wrong(
            f"{reference} can't be called without arguments ({error}): "
            "name an object, or a function that makes one"
        ) from error
    except ValueError:
        pass  # some builtins don't tell what they take
    try:
        made = factory()
    except Exception as error:
        raise _wrong(
            f"calling {reference} failed: {type(error).__name__}: {error} "
            "('wirecore --debug wsrpc serve ...' shows where)"
        ) from error
    if inspect.iscoroutine(made):
        made.close()  # or Python warns that nobody awaited it
        raise _wrong(f"{reference} is async: what makes a service is a plain function")
    return made


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else ""


def _wrong(text: str) -> Failure:
    return Failure(text, Status.USAGE)
