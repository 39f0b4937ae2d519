"""wirecore on trio: ``wirecore_trio.websocket``, ``wirecore_trio.wsrpc``, ``wirecore_trio.tls``.

Each is imported by its own name, so that nobody loads what they don't use.
"""
