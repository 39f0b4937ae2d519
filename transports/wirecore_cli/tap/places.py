"""Where the tap listens and what it dials, with what either side shows to whom."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import click

from wirecore_trio._dial import Target, fail_after, open_socket, parse_url, secure, secure_server
from wirecore_trio._link import Link
from wirecore_trio._network import Accepted, accepted_link
from wirecore_trio._tls_link import TLSLink
from wirecore_trio.tls import ClientCredentials, ServerCredentials, engine_for, public_key_of
from wirecore_trio.wsrpc._address import parse_address, show_address

from ..key_files import ClientList, read_private_key, read_public_key
from ..serving import address_of
from ..trust import client_context, server_context
from .ends import End
from .options import TapOptions

_WSRPC = "wsrpc://"

#: Seconds that a client's TLS handshake may take.
_HANDSHAKE_PATIENCE = 10.0


@dataclass(frozen=True)
class Place:
    """A side of the tap. *name*: what is said of it; the others: how it is secured, None: not."""

    name: str
    host: str
    port: int
    context: ssl.SSLContext | None = None
    credentials: ClientCredentials | ServerCredentials | None = None


class Listening:
    """Where clients come in."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def take(self, accepted: Accepted) -> End:
        """The end of a client that was *accepted*.

        Raises HandshakeError, TimeoutError, trio.BrokenResourceError, having closed it.
        """
        link: Link = accepted_link(accepted)
        place = self.place
        try:
            with fail_after(_HANDSHAKE_PATIENCE, "the client didn't complete the TLS handshake"):
                if place.context is not None:
                    link = await secure_server(link, place.context)
                elif place.credentials is not None:
                    link = await _pinned(link, place.credentials)
        except BaseException:
            link.close()
            raise
        return End(link)


class Dialling:
    """What is dialled for each client. *patience*: seconds that it may take."""

    def __init__(self, place: Place, authority: str, patience: float) -> None:
        self.place = place
        #: What Host says of it, and Origin.
        self.authority = authority
        self._patience = patience

    @property
    def origin(self) -> str:
        """What an Origin of its own pages is."""
        scheme = "http" if self.place.context is None and not self._is_pinned else "https"
        return f"{scheme}://{self.authority}"

    @property
    def _is_pinned(self) -> bool:
        return self.place.credentials is not None

    async def dial(self) -> End:
        """A connection to it. Raises OSError, HandshakeError, trio.BrokenResourceError."""
        place = self.place
        with fail_after(self._patience, f"{place.name} didn't take the connection"):
            link: Link = await open_socket(place.host, place.port)
            try:
                if place.context is not None:
                    link = await secure(link, place.context, place.host)
                elif place.credentials is not None:
                    link = await _pinned(link, place.credentials)
            except BaseException:
                link.close()
                raise
        return End(link)


async def _pinned(link: Link, credentials: ClientCredentials | ServerCredentials) -> TLSLink:
    secured = TLSLink(link, engine_for(credentials))
    await secured.handshake()
    return secured


def read_places(listen: str, target: str, options: TapOptions) -> tuple[Listening, Dialling]:
    """Both sides, as the command line has them. Raises UsageError, Failure, LocalError."""
    listen = f"127.0.0.1:{listen}" if listen.isascii() and listen.isdecimal() else listen
    host, port = address_of(listen, "LISTEN")
    if target.startswith(_WSRPC):
        return _read_pinned(host, port, target.removeprefix(_WSRPC).rstrip("/"), options)
    found = parse_url(target)
    if found.resource != "/" or found.user_info is not None:
        raise click.UsageError(
            "TARGET is a scheme, a host and a port: path, query and user are what each client sends"
        )
    for name, given in (
        ("--server-key", options["server_key"]),
        ("--client", options["named"]),
        ("--clients", options["listed"]),
    ):
        if given:
            raise click.UsageError(f"{name} is for a TARGET of wsrpc://")
    context = server_context(options["certificate"], options["private"])
    scheme = "ws" if context is None else "wss"
    name = f"{scheme}://{show_address(host, port)}/"
    return (
        Listening(Place(name, host, port, context)),
        Dialling(
            Place(found.name, found.host, found.port, _target_context(found, options)),
            found.authority,
            options["timeout"],
        ),
    )


def _target_context(target: Target, options: TapOptions) -> ssl.SSLContext | None:
    certificate, private = options["target_certificate"], options["target_private"]
    if not target.secure:
        if options["cafiles"] or certificate or private:
            raise click.UsageError(
                "--cafile, --target-cert and --target-key are for a TARGET of wss://"
            )
        return None
    context = client_context(
        {
            "cafiles": options["cafiles"],
            "certificate": certificate,
            "private": private,
            "token_file": None,
        },
        secure=True,
    )
    return context or ssl.create_default_context()


def _read_pinned(
    host: str, port: int, target: str, options: TapOptions
) -> tuple[Listening, Dialling]:
    if options["certificate"] or options["target_certificate"] or options["cafiles"]:
        raise click.UsageError(
            "wsrpc goes by keys: --cert, --target-cert and --cafile are for ws:// and wss://"
        )
    target_host, target_port = parse_address(target)
    private = read_private_key(options["private"] or _from_environment("WIRECORE_KEY"))
    target_private = options["target_private"]
    dialling = private if target_private is None else read_private_key(target_private)
    named = options["server_key"] or os.environ.get("WIRECORE_SERVER_KEY")
    if named is None:
        server_key = public_key_of(dialling)
    else:
        server_key = read_public_key(named, option="--server-key")
    if not options["named"] and options["listed"] is None:
        clients = ClientList([public_key_of(private)], None)
    else:
        keys = [read_public_key(each, option="--client") for each in options["named"]]
        clients = ClientList(keys, options["listed"])
    listening = Place(
        f"{_WSRPC}{show_address(host, port)}",
        host,
        port,
        credentials=ServerCredentials(private, clients.read()),
    )
    shown = show_address(target_host, target_port)
    dialled = Place(
        f"{_WSRPC}{shown}",
        target_host,
        target_port,
        credentials=ClientCredentials(dialling, server_key),
    )
    return Listening(listening), Dialling(dialled, shown, options["timeout"])


def _from_environment(name: str) -> Path | None:
    found = os.environ.get(name)
    return Path(found) if found else None
