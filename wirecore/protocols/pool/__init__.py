"""wsrpcpool without I/O: calls over connections that the serving end has dialled.

Byte-compatible with github.com/pavrorov/wsrpcpool. Here are the two codecs that it speaks, and the
sessions of both ends: one calls, the other serves, and either may be the one that has dialled.
"""

from __future__ import annotations

from wirecore.gojson.raw import RawJson
from wirecore.protocols.pool.calling import TIMED_OUT, CallingSession, PoolCall
from wirecore.protocols.pool.codec import (
    NEED_DATA,
    NO_ERROR_TEXT,
    Answer,
    CallingCodec,
    Incoming,
    NeedData,
    Request,
    Response,
    ServingCodec,
)
from wirecore.protocols.pool.errors import NoDefaultPath, NoProvider
from wirecore.protocols.pool.framing import PROTOCOL
from wirecore.protocols.pool.gob import GobCalling, GobServing
from wirecore.protocols.pool.jsonrpc import JsonCalling, JsonServing
from wirecore.protocols.pool.packing import GobPacking, JsonPacking, Packing
from wirecore.protocols.pool.serving import Found, ServingSession
from wirecore.session.keepalive import UnansweredPings

__all__ = [
    "NEED_DATA",
    "NO_ERROR_TEXT",
    "PROTOCOL",
    "TIMED_OUT",
    "Answer",
    "CallingCodec",
    "CallingSession",
    "Found",
    "GobCalling",
    "GobPacking",
    "GobServing",
    "Incoming",
    "JsonCalling",
    "JsonPacking",
    "JsonServing",
    "NeedData",
    "NoDefaultPath",
    "NoProvider",
    "Packing",
    "PoolCall",
    "RawJson",
    "Request",
    "Response",
    "ServingCodec",
    "ServingSession",
    "UnansweredPings",
]
