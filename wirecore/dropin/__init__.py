"""wirecore's codec under WebSocket libraries of others, with their own API.

:mod:`wirecore.dropin.wsproto` is wsproto with our frames: to be imported instead of it, or put
under the one that is installed. Nothing here is loaded by ``import wirecore``.
"""
