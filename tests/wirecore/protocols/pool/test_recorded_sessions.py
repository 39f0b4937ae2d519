"""Both sessions in the place of the original's ends: what they send, message by message.

Where an end has dialled that had in the recording, the frames are the recorded ones, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wirecore.gob.go_types import TYPES, registry
from tests.wirecore.gob.test_golden_sessions import VECTORS, used_before, value_of
from tests.wirecore.protocols.pool import test_jsonrpc_recorded as recorded_json
from tests.wirecore.protocols.pool.ends import Method, Sent, sent_by
from tests.wirecore.protocols.pool.go_types import annotation_of
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.protocols.pool import (
    CallingSession,
    GobCalling,
    GobServing,
    Incoming,
    JsonCalling,
    JsonServing,
    PoolCall,
    ServingSession,
)
from wirecore.protocols.pool.gob import InvalidRequest, RequestHeader, ResponseHeader

swapped = pytest.mark.parametrize("swapped", [False, True], ids=["as_recorded", "swapped"])

#: A method, its argument, what its result is; a value with its annotation, or an error's text.
Step = tuple[str, Any, Any, Any, Any]


class Conversation:
    """One recorded session, in which ours are both ends. *swapped*: the other one has dialled."""

    def __init__(
        self,
        backend: Backend,
        session: dict[str, Any],
        codecs: tuple[Any, Any],
        steps: list[Step],
        *,
        swapped: bool,
    ) -> None:
        self._backend = backend
        self._swapped = swapped
        self._caller = "provider" if session["name"] == "callback" else "pool"
        self._messages = [
            message for message in session["messages"] if message.get("opcode") == "binary"
        ]
        self._steps = steps
        self._arguments: Iterator[Any] = iter([step[2] for step in steps])
        dialled = (self._caller == "provider") is not swapped
        self._dialled = {"calling": dialled, "serving": not dialled}
        self.calling = CallingSession(codecs[0], client=dialled, backend=backend)
        self.serving = ServingSession(
            codecs[1],
            lambda _: Method(next(self._arguments)),
            client=not dialled,
            backend=backend,
        )
        self._sent: dict[str, list[Sent]] = {"calling": [], "serving": []}

    def play(self) -> list[Any]:
        """Let it happen, message by message; what came of the calls."""
        at = {"calling": 0, "serving": 0}
        calls = iter(self._steps)
        answers: list[Any] = []
        served = 0
        for message in self._messages:
            side = "calling" if message["from"] == self._caller else "serving"
            sent = self._sent[side]
            if side == "calling" and at[side] == len(sent):
                method, argument, annotation, _, result = next(calls)
                self.calling.call(PoolCall(result), method, argument, annotation, 0.0)
                sent += sent_by(self.calling)
            self._compare(sent[at[side]], message)
            at[side] += 1
            if side == "serving":
                answers += self.calling.receive(self._framed(message, side), 0.0) or ()
                continue
            for incoming in self.serving.receive(self._framed(message, side), 0.0) or ():
                self._reply(incoming, self._steps[served])
                served += 1
            self._sent["serving"] += sent_by(self.serving)
        assert at == {side: len(sent) for side, sent in self._sent.items()}
        assert next(calls, None) is None
        assert not self.calling.table
        return answers

    def _compare(self, sent: Sent, message: dict[str, Any]) -> None:
        assert sent.opcode == Opcode.BINARY
        assert sent.payload.hex() == message["hex"]
        if not self._swapped:
            assert sent.sizes == message.get("frame_sizes", [len(sent.payload)])

    def _framed(self, message: dict[str, Any], side: str) -> bytes:
        data = bytes.fromhex(message["hex"])
        return self._backend.frames.encode_message(data, self._dialled[side], 4000)

    def _reply(self, incoming: Incoming, step: Step) -> None:
        _, _, _, value, annotation = step
        if isinstance(value, Failure):
            self.serving.reply_error(incoming.request, value.text)
        else:
            self.serving.reply(incoming.request, value, annotation)


class Failure:
    """In a result's place."""

    def __init__(self, text: str) -> None:
        self.text = text


def texts_of(steps: list[Step]) -> list[str]:
    return [step[3].text if isinstance(step[3], Failure) else "None" for step in steps]


def gob_steps(session: dict[str, Any], names: Any) -> list[Step]:
    steps: list[Step] = []
    for call in session["calls"]:
        argument, annotation = value_of(call["arg_go_type"], call["arg"], names)
        value, result = Failure(call["error"]) if "error" in call else None, Any
        if value is None:
            value, result = value_of(call["reply_go_type"], call["reply"], names)
        steps.append((call["method"], argument, annotation, value, result))
    return steps


@swapped
@pytest.mark.parametrize("name", ["calls", "large", "callback"])
def test_net_rpc_over_gob(
    backend: Backend, name: str, swapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of types are of the whole process, so the first session comes before the others."""
    for go_name, kind in (
        ("Request", RequestHeader),
        ("Response", ResponseHeader),
        ("struct{}", InvalidRequest),
    ):
        monkeypatch.setitem(TYPES, go_name, kind)
    names, ids = registry(), used_before()
    recorded = {session["name"]: session for session in VECTORS["sessions"]}
    for session in [recorded[each] for each in dict.fromkeys(["calls", name])]:
        codecs = (
            GobCalling(names, type_ids=ids, backend=backend),
            GobServing(names, type_ids=ids, backend=backend),
        )
        steps = gob_steps(session, names)
        answers = Conversation(backend, session, codecs, steps, swapped=swapped).play()
        assert [str(answer.error) for answer in answers] == texts_of(steps)


def json_steps(session: dict[str, Any]) -> list[Step]:
    """As a codec alone reads them, for JSON doesn't tell types apart."""
    arguments, results = JsonServing(), JsonCalling()
    arguments.feed(b"".join(recorded_json.messages_of(session, "calling")))
    results.feed(b"".join(recorded_json.messages_of(session, "serving")))
    steps: list[Step] = []
    for call in session["calls"]:
        arguments.next_request()
        results.next_response()
        annotation = annotation_of(call["arg_go_type"])
        argument = recorded_json.as_sent(call, arguments.argument(annotation))
        result = annotation_of(call.get("reply_go_type", "interface{}"))
        value: Any = Failure(call.get("error", ""))
        if "error" in call:
            results.skip_result()
        else:
            value = results.result(result)
        steps.append((call["method"], argument, annotation, value, result))
    return steps


@swapped
@pytest.mark.parametrize("name", ["calls", "large", "callback"])
def test_json_rpc(backend: Backend, name: str, swapped: bool) -> None:
    (session,) = (session for session in recorded_json.SESSIONS if session["name"] == name)
    steps = json_steps(session)
    codecs = JsonCalling(), JsonServing()
    answers = Conversation(backend, session, codecs, steps, swapped=swapped).play()
    assert [str(answer.error) for answer in answers] == texts_of(steps)
    for answer, step in zip(answers, steps, strict=True):
        assert isinstance(step[3], Failure) or answer.value == step[3]
