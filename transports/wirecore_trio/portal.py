"""wirecore from programs that don't run on trio: from asyncio, and from plain threads.

A portal has trio run in a thread of its own. Whatever wirecore_trio has lives there, and is used
through the portal's ``run``, ``entered`` and ``start``::

    async with AsyncioPortal() as portal:
        async with portal.entered(rest.connect("ws://127.0.0.1:8080/")) as client:
            response = await portal.run(client.request, "GET", "/")
"""

from ._asyncio_portal import AsyncioPortal
from ._blocking_portal import BlockingPortal
from ._crossing import CutOff

__all__ = ["AsyncioPortal", "BlockingPortal", "CutOff"]
