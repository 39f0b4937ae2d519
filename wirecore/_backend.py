"""The only place that chooses between the compiled modules and their pure twins.

``WIRECORE_BACKEND`` (``c`` or ``py``) decides where it is set; else the compiled modules are
taken where they are there. Both can be loaded in one process: ``load("c")``, ``load("py")``.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

BackendName: TypeAlias = Literal["c", "py"]

#: Compiled module `wirecore._NAME` and pure twin `wirecore_py.NAME`, for each NAME.
MODULES: Final = (
    "calls",
    "entropy",
    "envelope",
    "envelope_writer",
    "frames",
    "gob_calls",
    "gob_frames",
    "gob_reader",
    "gob_writer",
    "histogram",
    "jobs",
    "json_reader",
    "json_writer",
    "mask",
    "moving",
    "outbox",
    "pool_ends",
    "pool_invoking",
    "pool_sender",
    "pool_submitting",
    "receiving",
    "rhythm",
    "socket_io",
    "stream",
    "submitting",
    "ticking",
    "turns",
    "utf8",
    "waiting",
    "webwire",
    "webwire_channel",
    "webwire_ends",
    "webwire_order",
    "webwire_submitting",
    "webwire_values",
    "webwire_writer",
)


if TYPE_CHECKING:
    from wirecore_py import (
        calls,
        entropy,
        envelope,
        envelope_writer,
        frames,
        gob_calls,
        gob_frames,
        gob_reader,
        gob_writer,
        histogram,
        jobs,
        json_reader,
        json_writer,
        mask,
        moving,
        outbox,
        pool_ends,
        pool_invoking,
        pool_sender,
        pool_submitting,
        receiving,
        rhythm,
        socket_io,
        stream,
        submitting,
        ticking,
        turns,
        utf8,
        waiting,
        webwire,
        webwire_channel,
        webwire_ends,
        webwire_order,
        webwire_submitting,
        webwire_values,
        webwire_writer,
    )

    # A module can't be a type: these name what each of them offers, and the pure twins type it.

    class _Calls:
        CallTable = calls.CallTable

    class _Entropy:
        mask_key = staticmethod(entropy.mask_key)
        random_bytes = staticmethod(entropy.random_bytes)
        uuid4_text = staticmethod(entropy.uuid4_text)

    class _Envelope:
        EMPTY = envelope.EMPTY
        REQUEST = envelope.REQUEST
        RESPONSE = envelope.RESPONSE
        MALFORMED = envelope.MALFORMED
        decode_envelope = staticmethod(envelope.decode_envelope)
        encode_request = staticmethod(envelope.encode_request)
        encode_response = staticmethod(envelope.encode_response)
        sort_envelopes = staticmethod(envelope.sort_envelopes)

    class _EnvelopeWriter:
        EnvelopeWriter = envelope_writer.EnvelopeWriter

    class _Frames:
        MessageDecoder = frames.MessageDecoder
        encode_frame = staticmethod(frames.encode_frame)
        encode_message = staticmethod(frames.encode_message)
        encode_messages = staticmethod(frames.encode_messages)

    class _GobCalls:
        CallReader = gob_calls.CallReader
        CallWriter = gob_calls.CallWriter

    class _GobFrames:
        FrameBuffer = gob_frames.FrameBuffer

    class _GobReader:
        ReadPlan = gob_reader.ReadPlan
        ValueReader = gob_reader.ValueReader

    class _GobWriter:
        ValueWriter = gob_writer.ValueWriter
        WritePlan = gob_writer.WritePlan

    class _Histogram:
        Counts = histogram.Counts

    class _Jobs:
        ENDED = jobs.ENDED
        Jobs = jobs.Jobs
        Run = jobs.Run

    class _JsonReader:
        JsonPlan = json_reader.JsonPlan
        JsonReader = json_reader.JsonReader

    class _JsonWriter:
        JsonWriter = json_writer.JsonWriter

    class _Mask:
        apply_mask = staticmethod(mask.apply_mask)

    class _Moving:
        Mover = moving.Mover

    class _Outbox:
        Outbox = outbox.Outbox

    class _PoolEnds:
        CallingEnd = pool_ends.CallingEnd

    class _PoolInvoking:
        Invoker = pool_invoking.Invoker

    class _PoolSender:
        AnswerSender = pool_sender.AnswerSender
        CallSender = pool_sender.CallSender

    class _PoolSubmitting:
        Submits = pool_submitting.Submits

    class _Receiving:
        Receiver = receiving.Receiver

    class _Rhythm:
        Rhythm = rhythm.Rhythm
        Trial = rhythm.Trial

    class _SocketIO:
        SocketIO = socket_io.SocketIO

    class _Stream:
        StreamDecoder = stream.StreamDecoder

    class _Submitting:
        Submitter = submitting.Submitter
        come = staticmethod(submitting.come)

    class _Ticking:
        Core = ticking.Core
        Ticks = ticking.Ticks

    class _Turns:
        LongestWaiting = turns.LongestWaiting
        Slot = turns.Slot

    class _Utf8:
        Utf8Validator = utf8.Utf8Validator

    class _Waiting:
        ANSWERED = waiting.ANSWERED
        Callers = waiting.Callers
        Submitted = waiting.Submitted
        Told = waiting.Told
        Waiter = waiting.Waiter

    class _Webwire:
        decode_message = staticmethod(webwire.decode_message)
        decode_messages = staticmethod(webwire.decode_messages)
        encode_error = staticmethod(webwire.encode_error)
        encode_reply = staticmethod(webwire.encode_reply)
        encode_request = staticmethod(webwire.encode_request)
        encode_signal = staticmethod(webwire.encode_signal)

    class _WebwireChannel:
        Inbound = webwire_channel.Inbound
        Replying = webwire_channel.Replying

    class _WebwireEnds:
        ClientEnd = webwire_ends.ClientEnd
        ServerEnd = webwire_ends.ServerEnd

    class _WebwireOrder:
        OWN = webwire_order.OWN
        Order = webwire_order.Order
        Route = webwire_order.Route
        RouteTable = webwire_order.RouteTable

    class _WebwireSubmitting:
        Submits = webwire_submitting.Submits

    class _WebwireValues:
        Payload = webwire_values.Payload
        Request = webwire_values.Request
        Signal = webwire_values.Signal
        delivery = staticmethod(webwire_values.delivery)
        reply_payload = staticmethod(webwire_values.reply_payload)
        split = staticmethod(webwire_values.split)

    class _WebwireWriter:
        MessageWriter = webwire_writer.MessageWriter


class Backend:
    """One of the two sets of modules; each is imported when first asked for."""

    name: BackendName

    if TYPE_CHECKING:
        calls: _Calls
        entropy: _Entropy
        envelope: _Envelope
        envelope_writer: _EnvelopeWriter
        frames: _Frames
        gob_calls: _GobCalls
        gob_frames: _GobFrames
        gob_reader: _GobReader
        gob_writer: _GobWriter
        histogram: _Histogram
        jobs: _Jobs
        json_reader: _JsonReader
        json_writer: _JsonWriter
        mask: _Mask
        moving: _Moving
        outbox: _Outbox
        pool_ends: _PoolEnds
        pool_invoking: _PoolInvoking
        pool_sender: _PoolSender
        pool_submitting: _PoolSubmitting
        receiving: _Receiving
        rhythm: _Rhythm
        socket_io: _SocketIO
        stream: _Stream
        submitting: _Submitting
        ticking: _Ticking
        turns: _Turns
        utf8: _Utf8
        waiting: _Waiting
        webwire: _Webwire
        webwire_channel: _WebwireChannel
        webwire_ends: _WebwireEnds
        webwire_order: _WebwireOrder
        webwire_submitting: _WebwireSubmitting
        webwire_values: _WebwireValues
        webwire_writer: _WebwireWriter

    def __init__(self, name: BackendName) -> None:
        self.name = name

    def __getattr__(self, module: str) -> object:
        if module not in MODULES:
            raise AttributeError(module)
        path = f"wirecore._{module}" if self.name == "c" else f"wirecore_py.{module}"
        found = import_module(path)
        setattr(self, module, found)
        return found

    def __repr__(self) -> str:
        return f"<wirecore backend {self.name!r}>"


@cache
def load(name: BackendName) -> Backend:
    """The backend called *name*.

    Raises ImportError where ``c`` is asked for and the compiled modules aren't installed, and
    ValueError for a name that is neither ``c`` nor ``py``.
    """
    if name not in ("c", "py"):
        raise ValueError(f"a backend is 'c' or 'py', not {name!r} (is WIRECORE_BACKEND right?)")
    if name == "c":
        problem = why_not_compiled()
        if problem:
            raise ImportError(f"the compiled backend was asked for, but {problem}")
    return Backend(name)


@cache
def why_not_compiled() -> str:
    """Why the compiled modules can't be used, in words; "" where they can."""
    try:
        import_module("wirecore._mask")
    except ImportError as error:
        from wirecore._build import explain

        return f"{explain()} ({error})"
    return ""


def choose() -> tuple[Backend, str]:
    """The backend this process uses by default, and the reason, in words."""
    wanted = os.environ.get("WIRECORE_BACKEND", "")
    if wanted:
        return load(cast(BackendName, wanted)), f"WIRECORE_BACKEND={wanted}"
    problem = why_not_compiled()
    if problem:
        return load("py"), problem
    return load("c"), "the compiled modules are installed"


default, reason = choose()
