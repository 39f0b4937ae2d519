"""From the command line to a gateway: its server, its tokens, its routes, its limits."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway, Tokens
from wirecore_trio.wsrpc._address import show_address

from ..extras import is_installed, require_extra
from ..failures import Failure, Status
from ..serving import Place, address_of
from ..trust import server_context
from .front import Front
from .gateway import GatewayOptions
from .routing import read_routes
from .tokens import TokenFile, read_tokens


class SetUp:
    """What *options* ask for.

    *place*: of the public side. *publishers*, *live*: addresses, None: no live view.
    *certificate*: of the public side, and its key; *front*: its server. *context*: the TLS of
    publishers. *reload*: reads again what can change, None: nothing can.

    Raises UsageError, Failure and InvalidOption for what is wrong with the command line.
    """

    def __init__(self, options: GatewayOptions) -> None:
        self.place = Place(options)
        self.publishers = address_of(options["publishers"], "--publishers")
        self.live = None if options["no_live"] else address_of(options["live"], "--live")
        self.access_log = options["access_log"]
        tokens = _tokens(options, self.publishers)
        self.certificate = _certificate(options)
        self.context = _publisher_context(options)
        if tokens is None:
            self.server = rest.Server()
        else:
            self.server = rest.Server(on_request=tokens.admit, on_connection=tokens.welcome)
        self.gateway = Gateway(
            self.server,
            read_routes(options["routes"], options["stripped"]),
            tokens=tokens,
            max_body_size=options["max_body_size"],
            response_timeout=options["response_timeout"],
            trust_forwarded=options["trust_forwarded"],
            max_requests=options["max_requests"],
            max_requests_per_publisher=options["max_requests_per_publisher"],
            max_requests_per_caller=options["max_requests_per_caller"],
        )
        self.front = _front(options["http_server"], self)
        self.reload: Callable[[], object] | None = None
        if options["tokens"] is not None and tokens is not None:
            file = TokenFile(options["tokens"], tokens)
            self.reload = partial(file.read_again, self.gateway)


def _front(name: str, set_up: SetUp) -> Front:
    """The server of HTTP of that *name*. Raises Failure where it isn't installed."""
    if name == "auto":
        # With a certificate browsers are offered HTTP/2.
        is_plain = set_up.certificate is None
        name = "uvicorn" if is_plain and is_installed("uvicorn") else "hypercorn"
    require_extra("tunnel", name, what="the gateway")
    most = set_up.server.options.max_message_size
    if name == "uvicorn":
        from .under_uvicorn import UnderUvicorn

        return UnderUvicorn(set_up.gateway, certificate=set_up.certificate, max_message_size=most)
    from .under_hypercorn import UnderHypercorn

    return UnderHypercorn(set_up.gateway, certificate=set_up.certificate, max_message_size=most)


def _tokens(options: GatewayOptions, publishers: tuple[str, int]) -> Tokens | None:
    """Who may publish. Raises Failure where everybody could, and nobody said so."""
    if options["tokens"] is not None:
        return Tokens(read_tokens(options["tokens"]))
    if not (options["open"] or options["client_cas"] or _is_loopback(publishers[0])):
        raise Failure(
            f"--publishers {show_address(*publishers)}: whoever reaches it could publish anything: "
            "name who may with --tokens or --client-ca, or say --open",
            Status.USAGE,
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _certificate(options: GatewayOptions) -> tuple[Path, Path] | None:
    """The files of the public side's TLS, which are as they should be. Raises as the class."""
    certificate, private = options["certificate"], options["private"]
    # It makes a context of its own, which would ask for a key's password at the terminal.
    if server_context(certificate, private) is None or certificate is None:
        return None
    return certificate, private or certificate


def _publisher_context(options: GatewayOptions) -> ssl.SSLContext | None:
    certificate, private = options["publisher_certificate"], options["publisher_private"]
    if certificate is None and private is None:
        certificate, private = options["certificate"], options["private"]
    return server_context(certificate, private, options["client_cas"], prefix="publisher-")
