"""RPC and messaging over WebSocket: the sans-IO core, compiled where possible.

Importing this package is cheap: the names below are loaded when they are first asked for
(PEP 562), and no protocol, no TLS and no event loop comes along.

``BACKEND`` is ``"c"`` or ``"py"``: whether the compiled modules or their pure-Python twins are
in use; ``BACKEND_REASON`` says why, in words. ``WIRECORE_BACKEND=c`` or ``=py`` in the
environment chooses: importing raises ImportError where ``c`` is asked for and can't be had, and
ValueError for anything else.
"""

# `typing` and `enum` alone take longer to import than all that happens here; type checkers take
# this name for true whoever sets it.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from wirecore._backend import BackendName
    from wirecore.constants import CloseCode, Opcode
    from wirecore.errors import (
        CallLost,
        CallTimeout,
        ConnectionClosed,
        ConnectionLost,
        CredentialsUnavailable,
        GobError,
        GobStreamError,
        GobStreamLimitExceeded,
        GobValueError,
        GobValueLimitExceeded,
        HandshakeError,
        Incompatible,
        InvalidGobType,
        InvalidJsonType,
        InvalidKey,
        InvalidMessage,
        InvalidOption,
        InvalidState,
        InvalidStream,
        InvalidValue,
        JsonError,
        JsonStreamError,
        JsonStreamLimitExceeded,
        JsonValueError,
        JsonValueLimitExceeded,
        LimitExceeded,
        LocalError,
        LocalLimitExceeded,
        NotConnected,
        Overloaded,
        PeerRefused,
        ProtocolError,
        RemoteError,
        RemoteLimitExceeded,
        RpcError,
        UnknownMethod,
        UnsendableGob,
        UnsendableJson,
        UnsendableMessage,
        UpgradeRejected,
        WirecoreError,
    )
    from wirecore.events import Close, Failure, Ping, Pong, RawText
    from wirecore.session import (
        Backoff,
        Call,
        CallLimits,
        Heartbeat,
        Limits,
        Outbox,
        PendingCalls,
        Session,
        Stage,
    )
    from wirecore.session.call_table import CallTable

    BACKEND: BackendName
    BACKEND_REASON: str

__version__ = "0.1.0"

__all__ = [
    "BACKEND",
    "BACKEND_REASON",
    "Backoff",
    "Call",
    "CallLimits",
    "CallLost",
    "CallTable",
    "CallTimeout",
    "Close",
    "CloseCode",
    "ConnectionClosed",
    "ConnectionLost",
    "CredentialsUnavailable",
    "Failure",
    "GobError",
    "GobStreamError",
    "GobStreamLimitExceeded",
    "GobValueError",
    "GobValueLimitExceeded",
    "HandshakeError",
    "Heartbeat",
    "Incompatible",
    "InvalidGobType",
    "InvalidJsonType",
    "InvalidKey",
    "InvalidMessage",
    "InvalidOption",
    "InvalidState",
    "InvalidStream",
    "InvalidValue",
    "JsonError",
    "JsonStreamError",
    "JsonStreamLimitExceeded",
    "JsonValueError",
    "JsonValueLimitExceeded",
    "LimitExceeded",
    "Limits",
    "LocalError",
    "LocalLimitExceeded",
    "NotConnected",
    "Opcode",
    "Outbox",
    "Overloaded",
    "PeerRefused",
    "PendingCalls",
    "Ping",
    "Pong",
    "ProtocolError",
    "RawText",
    "RemoteError",
    "RemoteLimitExceeded",
    "RpcError",
    "Session",
    "Stage",
    "UnknownMethod",
    "UnsendableGob",
    "UnsendableJson",
    "UnsendableMessage",
    "UpgradeRejected",
    "WirecoreError",
    "__version__",
]

if not TYPE_CHECKING:
    import os

    def __getattr__(name):
        """Loads a public name when it is first asked for; it is an ordinary global after that."""
        if name in __all__:
            from importlib import import_module

            if name.startswith("BACKEND"):
                backend = import_module("wirecore._backend")
                globals().update(BACKEND=backend.default.name, BACKEND_REASON=backend.reason)
                return globals()[name]
            # The cheapest first: the names of errors don't cost the import of dataclasses.
            for home in ("errors", "constants", "events", "session", "session.call_table"):
                found = getattr(import_module(f"wirecore.{home}"), name, None)
                if found is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})

    if os.environ.get("WIRECORE_BACKEND"):
        # A backend that was asked for and can't be had is an error now, not at first use.
        try:
            __getattr__("BACKEND")
        except (ImportError, ValueError) as error:
            import sys

            # `python -m wirecore` comes by here before its own code, and needs no traceback.
            # While a module is looked for, "-m" stands where its file's name will be.
            name = sys.orig_argv[-len(sys.argv) :][:1]
            if sys.argv[:1] == ["-m"] and name in (["wirecore"], ["-mwirecore"]):
                sys.exit(f"error: {error}")
            raise
    del os
