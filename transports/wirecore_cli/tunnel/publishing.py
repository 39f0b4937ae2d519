"""Publishing an application as a process: it says when it is connected, obeys signals, drains."""

from __future__ import annotations

import json
import logging
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import click
import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore_trio import drain_on_signal, rest
from wirecore_trio._dial import parse_url
from wirecore_trio._errors import alone
from wirecore_trio.rest.gateway._routes import check_name, name_of

from ..failures import Failure, Status, text_of
from ..secrets import read_token
from ..terminal import tell_note
from ..trust import client_context
from .publish import PublishOptions

if TYPE_CHECKING:
    from wirecore_trio.rest._asgi_types import App

#: What a gateway answers to a token that it doesn't know, and where there is none.
_HINTS: Final = {
    401: " (the gateway wants another token: --token-file holds it)",
    404: " (this is no place for publishers: --connect names that, not the one of callers)",
}

#: The least that a close may take: none at all is no time.
_LEAST_GRACE: Final = 0.001


class Publisher:
    """What the command line says of a publisher; it is published once.

    Raises UsageError, Failure and InvalidOption for what is wrong with it.
    """

    def __init__(self, options: PublishOptions) -> None:
        target = parse_url(options["url"])
        #: For what is said of the gateway: without the parts of a URL that may be secret.
        self._name = target.name
        self._grace = options["grace"]
        self._persist = options["persist"]
        token = read_token(options["token_file"])
        self._arguments: dict[str, Any] = {
            "metadata": _metadata(options["name"], options["metadata"]),
            "root_path": options["root_path"].rstrip("/"),
            "trust_forwarded": True,  # it is the gateway that was asked for
            "ssl_context": client_context(options, secure=target.secure),
        }
        if token is not None:
            self._arguments["headers"] = {"Authorization": f"Bearer {token}"}
        self._url = options["url"]
        self._told_to_stop = trio.Event()
        self._closed = trio.Event()
        self._is_up = False  # the application has started
        self._scope = trio.CancelScope()

    async def publish_until_stopped(self, app: App) -> int:
        """Publish *app* until a signal stops it; the exit status. Raises Failure where refused."""
        for name in ("wirecore.connect", "wirecore.rest"):
            logging.getLogger(name).addFilter(_is_news)
        number: int | None = None

        async def obey(*, task_status: trio.TaskStatus[None]) -> None:
            nonlocal number
            number = await drain_on_signal(
                self, signal.SIGINT, signal.SIGTERM, grace=self._grace, task_status=task_status
            )

        with alone():
            async with trio.open_nursery() as nursery:
                # Before it tells: who has read that it is connected may stop it.
                await nursery.start(obey)
                try:
                    with self._scope:
                        await self._publish(app)
                finally:
                    self._closed.set()
        return 0 if number is None else 128 + number  # as a shell says which signal it was

    async def drain(self, grace: float | None = 30.0) -> None:
        """Have those requests that run end, and stop; *grace* 0: at once. See Drainable."""
        self._told_to_stop.set()
        if grace == 0 or not self._is_up:
            self._scope.cancel()

    async def wait_closed(self) -> None:
        """Wait until it has ended."""
        await self._closed.wait()

    async def _publish(self, app: App) -> None:
        defaults = rest.ClientOptions()
        options = replace(
            defaults,
            retry=replace(defaults.retry, persist=self._persist),
            give_up_after=None,
            close_timeout=max(self._grace, _LEAST_GRACE),
        )
        # Its own nursery: what ends the telling ends the publishing.
        connecting = rest.connect(self._url, app, options, wait=False, **self._arguments)
        with alone():
            async with connecting as client, trio.open_nursery() as nursery:
                self._is_up = True
                nursery.start_soon(self._tell, client)
                await self._told_to_stop.wait()
                nursery.cancel_scope.cancel()

    async def _tell(self, client: rest.Client) -> None:
        """Say when it is connected, and when it isn't any more. Raises Failure where refused."""
        connection = await self._connected(client)
        tell_note(f"connected to {self._name}")
        while True:
            await connection.wait_closed()
            self._check(connection.error)
            tell_note(f"{self._end_of(connection.error)}; connecting again")
            connection = await self._connected(client)
            tell_note(f"connected to {self._name} again")

    async def _connected(self, client: rest.Client) -> rest.Connection:
        try:
            return await client.wait_connected()
        except (errors.RemoteError, errors.ConnectionLost, OSError) as error:
            raise Failure(f"{text_of(error)}{_hint(error)}", Status.NO_CONNECTION) from error

    def _end_of(self, error: Exception | None) -> str:
        if _is_unwanted(error):
            return f"{self._name} refused it: {text_of(error)}"
        return f"the connection to {self._name} was lost"

    def _check(self, error: Exception | None) -> None:
        """Raise Failure where *error* says that another attempt would be refused, too."""
        if not self._persist and _is_unwanted(error):
            raise Failure(
                f"{self._name} refused it: {text_of(error)}"
                " (--name must be one that the token is for)",
                Status.NO_CONNECTION,
            ) from error


def _is_news(record: logging.LogRecord) -> bool:
    """Whether *record* tells what the command doesn't tell itself: how its gateway refused it."""
    if record.name == "wirecore.connect":
        return record.levelno < logging.ERROR  # the last attempt: what it raised ends the command
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(map(_is_unwanted, arguments))


def _is_unwanted(error: object) -> TypeGuard[errors.ConnectionClosed]:
    """Whether the gateway has sent this publisher away."""
    return isinstance(error, errors.ConnectionClosed) and error.code == CloseCode.POLICY_VIOLATION


def _hint(error: Exception) -> str:
    """What would have helped against *error*, in brackets; "" where nothing is known to."""
    match error:
        case errors.UpgradeRejected():
            return _HINTS.get(error.status, "")
        case errors.PeerRefused():
            return " (--cafile names whose certificates are trusted, --cert is what is shown)"
        case _:
            return ""


def _metadata(name: str | None, given: str | None) -> Any:
    """What the gateway is told. Raises UsageError, Failure, InvalidOption."""
    if name is not None:
        check_name("--name", name)
    if given is None:
        if name is None:
            raise click.UsageError("say what it is published as: --name, or --metadata")
        return name
    try:
        metadata = json.loads(given)
    except ValueError as error:
        raise Failure(f"--metadata isn't JSON: {error}", Status.USAGE) from None
    if name is None:
        published = name_of(metadata)
        if published is not None:
            check_name("--metadata", published)
        return metadata
    if not isinstance(metadata, dict):
        raise click.UsageError("--metadata is an object where there is a --name")
    return {**metadata, "name": name}
