"""WebSockets for ASGI servers.

:mod:`wirecore_asgi.uvicorn` is a protocol for uvicorn, on asyncio and uvloop::

    uvicorn --ws wirecore_asgi.uvicorn:WebSocketProtocol app:app

To import this package loads neither a server nor an event loop.
"""
