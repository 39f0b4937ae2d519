"""The paths of a pool, as the command line has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wirecore.errors import LocalError
from wirecore_trio.pool import PoolServer

from ..failures import Failure, Status
from .objects import load_object


@dataclass(frozen=True)
class PathOption:
    """*path*, at which providers of *names* (none: of all other services) speak *codec*."""

    path: str
    names: tuple[str, ...]
    codec: str


@dataclass(frozen=True)
class CallbackOption:
    """*path*, at which what *reference* names is served to providers, in *codec*."""

    path: str
    reference: str
    codec: str


def read_path(given: str, codec: str) -> PathOption:
    """What ``--path`` says: ``[CODEC:]PATH[=SERVICE,...]``. Raises Failure."""
    codec, rest = _codec_of(given, codec)
    path, equals, names = rest.partition("=")
    services = tuple(name.strip() for name in names.split(",")) if equals else ()
    if not all(services):
        raise Failure(f"--path: {given!r} names a service without a name", Status.USAGE)
    return PathOption(path, services, codec)


def read_callbacks(given: str, codec: str) -> CallbackOption:
    """What ``--callbacks`` says: ``[CODEC:]PATH=MODULE:OBJECT``. Raises Failure."""
    codec, rest = _codec_of(given, codec)
    path, _, reference = rest.partition("=")
    if not reference:
        raise Failure(
            f"--callbacks: it is PATH=MODULE:OBJECT, as /cb=notify:Notify, not {given!r}",
            Status.USAGE,
        )
    return CallbackOption(path, reference, codec)


def _codec_of(given: str, codec: str) -> tuple[str, str]:
    """A path begins with a slash: what stands before it is its codec."""
    before, colon, rest = given.partition(":")
    if colon and before in ("gob", "json"):
        return before, rest
    return codec, given


def bind(
    server: PoolServer,
    paths: Sequence[PathOption],
    callbacks: Sequence[CallbackOption],
    folder: Path,
) -> None:
    """Bind all of them. Raises Failure, which names the option."""
    for each in paths:
        try:
            server.bind(each.path, *each.names, codec=each.codec)
        except LocalError as error:
            raise Failure(f"--path {each.path}: {error}", Status.USAGE) from error
    for callback in callbacks:
        service: Any = load_object(callback.reference, folder)
        try:
            server.serve_callbacks(callback.path, service, codec=callback.codec)
        except (LocalError, TypeError) as error:
            raise Failure(f"--callbacks {callback.path}: {error}", Status.USAGE) from error
