"""The provider: services that it has, and the pools it dials to be called by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from wirecore import errors
from wirecore.protocols.pool import PROTOCOL, CallingSession, ServingSession
from wirecore.session.limits import check_at_least
from wirecore.websocket.http import header_fields

from .._arguments import require_int, require_known, require_type, words
from ..websocket._client import Dialer, Dialing
from ..websocket._opened import Upgraded
from ._callback_client import CallbackClient
from ._calling_channel import CallingChannel
from ._codecs import AnyCodec, codec_of
from ._identity import PROVIDERS_ORIGIN, Introduction, check_name, introduce
from ._kept import Keeping
from ._options import ProviderOptions
from ._registry import Registry
from ._serving import Serving
from ._serving_channel import ServingChannel

if TYPE_CHECKING:
    from wirecore._backend import Backend


class ProviderDialing(Dialing, total=False):
    """What :meth:`Provider.serve` and ``connect_callbacks`` take besides.

    *token*: the secret that the pool asks for. *origin*: the Origin field; the default is the
    original's, ``http://localhost/``, None sends none. *wait*: wait for the first connection as it
    is entered. *ssl_context* (see :func:`provider_context`), *proxy* (True: as the environment
    says), *headers*, *prepare*, *server_hostname*, *unix_path*, *socket_options* and
    *happy_eyeballs_delay*: see :class:`wirecore_trio.websocket.DialOptions`.
    """

    token: str | None
    wait: bool


class Provider:
    """A provider of *services*, which pools call; :meth:`serve` dials these.

    *options*: see :class:`ProviderOptions`. *backend*: the codec, for tests.
    """

    def __init__(
        self,
        *services: Any,
        options: ProviderOptions | None = None,
        backend: Backend | None = None,
    ) -> None:
        require_type("options", options, ProviderOptions, optional=True)
        self.options = options or ProviderOptions()
        self._backend = backend
        self._registry = Registry()
        for service in services:
            self.register(service)

    def register(self, service: Any, name: str | None = None) -> None:
        """Serve the methods of *service* that are marked with :func:`exported`.

        Or, of a module, the functions that its ``__all__`` names. *name*: what calls say before
        the dot; by default the name of its class, or the last part of its module's in Go's form.

        Raises InvalidOption where nothing is marked, names collide, or a method can't be served;
        TypeError for a class in place of an instance, and for types that the codecs don't have.
        """
        self._registry.register(service, name=name)

    def serve(
        self,
        *urls: str,
        connections: int = 1,
        codec: AnyCodec = "gob",
        name: str | None = None,
        labels: Iterable[str] = (),
        concurrency: int | None = None,
        **dialing: Unpack[ProviderDialing],
    ) -> Keeping[Serving]:
        """Dial pools at *urls*, and be called: ``async with provider.serve("ws://…") as serving:``.

        *connections*: how many to each of them. *codec*: "gob", "json", :class:`Gob` or
        :class:`Json`; the pool's path must have the same. *name*, *labels* and *concurrency* (calls
        at once) are told to the pool, which may be told to believe the name, where it asks for no
        proof; the original doesn't look at them. Entering begins to dial and doesn't wait, unless
        *wait* is true; what is lost is dialled again. Leaving closes.

        Raises InvalidOption for what is no URL, label or codec, TypeError for other types.
        """
        require_int("connections", connections)
        check_at_least("connections", connections, 1)
        if not urls:
            raise errors.InvalidOption("a provider needs the URL of a pool")
        introduction = _introduction(name, words("labels", labels), concurrency)
        wait = dialing.pop("wait", False)
        found = codec_of(codec)
        dialers = [self._dialer(url, dialing, introduction) for url in urls]

        def make(upgraded: Upgraded, serving: Serving, peer: str) -> ServingChannel:
            options = self.options
            session = ServingSession(
                found.serving(options.max_message_size, self._backend),
                self._registry.find,
                client=True,
                limits=options.limits,
                heartbeat=options.heartbeat(),
                close_timeout=options.close_timeout,
                extended=upgraded.opened.subprotocol == PROTOCOL,
                backend=self._backend,
            )
            return ServingChannel(
                upgraded.link,
                session,
                serving._workers,
                options,
                peer=peer,
                total=serving._handling,
            )

        serving = Serving(dialers * connections, self.options, make)
        return Keeping(serving, wait=wait)

    def connect_callbacks(
        self, url: str, *, codec: AnyCodec = "gob", **dialing: Unpack[ProviderDialing]
    ) -> Keeping[CallbackClient]:
        """Dial a pool's call-back path at *url*, to call what is served there: Go's Use.

        ``async with provider.connect_callbacks("ws://…/cb") as client: await client.call(…)``.
        Everything else is as :meth:`serve` has it.
        """
        wait = dialing.pop("wait", False)
        found = codec_of(codec)

        def make(upgraded: Upgraded, client: CallbackClient) -> CallingChannel:
            options = self.options
            session = CallingSession(
                found.calling(options.max_message_size, self._backend),
                client=True,
                limits=options.limits,
                max_pending_calls=options.max_pending_calls,
                call_timeout=options.call_timeout,
                heartbeat=options.heartbeat(),
                close_timeout=options.close_timeout,
                extended=upgraded.opened.subprotocol == PROTOCOL,
                backend=self._backend,
            )
            return CallingChannel(upgraded.link, session, client, options, peer=client._name)

        dialer = self._dialer(url, dialing, Introduction(direction="calls"))
        return Keeping(CallbackClient(dialer, self.options, make, found.name), wait=wait)

    def _dialer(self, url: str, dialing: ProviderDialing, introduction: Introduction) -> Dialer:
        require_known("serve", dialing, ProviderDialing.__optional_keys__)
        rest = {key: value for key, value in dialing.items() if key not in ("token", "headers")}
        rest.setdefault("origin", PROVIDERS_ORIGIN)
        token = dialing.get("token")
        require_type("token", token, str, optional=True)
        headers = [*header_fields("headers", dialing.get("headers", ())), *introduce(introduction)]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        return Dialer(
            url,
            headers=headers,
            subprotocols=(PROTOCOL,),
            options=self.options.websocket(),
            backend=self._backend,
            **rest,  # type: ignore[arg-type]  # each of Dialing's types
        )


def _introduction(
    name: str | None, labels: frozenset[str], concurrency: int | None
) -> Introduction:
    if name is not None:
        check_name("name", name)
    for label in labels:
        check_name("a label", label)
    if concurrency is not None:
        require_int("concurrency", concurrency)
        check_at_least("concurrency", concurrency, 1)
    return Introduction(name, labels, concurrency, "serves")
