"""From an upgrade to a channel, at either end: the session with its wire, and what drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirecore._backend import default
from wirecore.protocols.rest.handshake import PROTOCOL
from wirecore.protocols.rest.multiplexed import Multiplexed
from wirecore.protocols.rest.session import RestSession

from ._channel import Channel

if TYPE_CHECKING:
    import trio

    from wirecore._backend import Backend

    from ..websocket._opened import Upgraded
    from ._channel import Listener
    from ._connection import Connection
    from ._options import Options


def open_channel(
    connection: Connection,
    upgraded: Upgraded,
    listener: Listener,
    options: Options,
    *,
    client: bool,
    metadata: Any = None,
    nursery: trio.Nursery,
    backend: Backend | None,
) -> Channel:
    """The channel of *connection*, which is told of what happens as *listener* is.

    *metadata*: what a *client* says of itself.
    """
    multiplexed = upgraded.opened.subprotocol == PROTOCOL
    session = RestSession(
        client=client,
        metadata=metadata,
        connection_id=connection.id,
        multiplexed=(
            lambda put: Multiplexed(
                put,
                client=client,
                max_streams=options.max_streams,
                max_head=options.max_head,
                max_window=options.max_window,
                window_budget=options.window_budget,
            )
        )
        if multiplexed
        else None,
        limits=options.limits(multiplexed=multiplexed),
        heartbeat=options.heartbeat(multiplexed=multiplexed),
        handshake_timeout=options.handshake_timeout,
        close_timeout=options.close_timeout,
        on_control=connection._control,
        backend=backend,
    )
    return Channel(
        upgraded.link,
        session,
        listener,
        options,
        client=client,
        peer=connection.remote_address,
        make_id=default.entropy.uuid4_text,
        nursery=nursery,
    )
