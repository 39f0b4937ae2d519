"""hypercorn's worker for trio, of which one connection can't end the others (extra ``tunnel``).

hypercorn lets most of what goes wrong within a connection end all that it serves: bytes behind a
request for a WebSocket, a path of HTTP/2 that isn't ASCII. Who is reached by everybody takes this
module's :func:`serve`, in place of ``hypercorn.trio.serve``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import hypercorn.trio
import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer

__all__ = ["serve"]

logger = logging.getLogger("wirecore.rest.hypercorn")


class _Guarded(TCPServer):
    """A connection whose faults end nothing else."""

    def __await__(self) -> Generator[Any, Any, None]:
        return self.run().__await__()

    async def run(self) -> None:
        """Serve it, and end it whatever happens."""
        try:
            await super().run()
        except BaseExceptionGroup as group:
            faults, others = group.split(Exception)
            if faults is not None:
                _log(faults)
            if others is not None:
                raise others from None
        except Exception as fault:  # noqa: BLE001 - it is logged
            _log(fault)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)


def _log(fault: BaseException) -> None:
    # Callers bring it about as they like: a line each is enough.
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    logger.info("a connection ended with an error of hypercorn's: %r", fault)
    logger.debug("of which this is the trace", exc_info=fault)


async def serve(
    app: Any,
    config: Config,
    *,
    shutdown_trigger: Callable[..., Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """As ``hypercorn.trio.serve``: *app* by *config*, until *shutdown_trigger* returns.

    From the first call on all that hypercorn serves on trio in this process is guarded.
    """
    setattr(hypercorn.trio.run, "TCPServer", _Guarded)  # noqa: B010 - it isn't theirs to export
    await hypercorn.trio.serve(
        app, config, shutdown_trigger=shutdown_trigger, task_status=task_status
    )
