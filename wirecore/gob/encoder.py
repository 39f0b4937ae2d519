"""Writing one gob stream."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from wirecore import _backend
from wirecore.errors import GobStreamError, LimitExceeded, LocalLimitExceeded, UnsendableGob
from wirecore.gob.decoder import take_apart
from wirecore.gob.definitions import FIRST_OF_SET, collect
from wirecore.gob.ids import TypeIds
from wirecore.gob.infer import annotation_of
from wirecore.gob.limits import Limits
from wirecore.gob.raw import Parts, Raw
from wirecore.gob.registry import Named, Registry
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType
from wirecore.gob.writing import write_plan
from wirecore.gob_rules import Kind, encode_int, encode_uint

if TYPE_CHECKING:
    from wirecore_py.gob_calls import CallWriter
    from wirecore_py.gob_writer import WritePlan


class Encoder:
    """Makes the bytes of one stream: one for each connection and direction, as long as it lives.

    *registry*: the names of types in interfaces (``Any``); *limits*: of them *max_message_size*
    and *max_depth* bind what is written; *type_ids*: where the ids of types come from, which
    encoders may share; *backend*: compiled or pure.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        limits: Limits | None = None,
        *,
        type_ids: TypeIds | None = None,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._registry = registry or Registry()
        self._limits = bounds = limits or Limits()
        self._largest = bounds.max_message_size
        self._ids = type_ids or TypeIds()
        self._backend = backend or _backend.default
        self._sent: set[Hashable] = set()  # identities of the types that were defined
        self._added: list[Hashable] = []  # those since the value was begun
        self._settled: list[Hashable] = []  # and those of values that go with it or not at all
        self._plans: dict[GobType, WritePlan] = {}
        self._ready: dict[Any, tuple[WritePlan, bytes]] = {}  # by annotation: defined ones
        self._writer = self._backend.gob_writer.ValueWriter(self._describe, bounds.max_depth)

    def encode(self, value: Any, annotation: Any = Any) -> bytes:
        """What is to be sent for *value*: the definitions that the stream lacks, and the value.

        *annotation*: its type; by default it is found by looking at the value, see
        :func:`~wirecore.gob.infer.annotation_of`. ``Any | None`` sends an interface that holds
        the value, as Go does of a pointer to an interface (an argument or reply of net/rpc that
        is one). :class:`~wirecore.gob.Raw` sends a value that keeps its types. All that is
        returned must be sent, in the order of the calls.

        Raises :class:`~wirecore.errors.UnsendableGob` where *value* isn't of that type, or holds
        in an interface what isn't registered; :class:`~wirecore.errors.LocalLimitExceeded` where
        it is too large; :class:`~wirecore.errors.InvalidGobType` where the type has no
        counterpart in gob. Nothing is to be sent then, and the stream is as it was: definitions
        that such a value would have brought come with the next one.
        """
        try:
            ready = self._ready.get(type(value) if annotation is Any else annotation)
        except TypeError:  # an annotation that isn't hashable
            return self._encode_first(value, gob_type(annotation))[0]
        if ready is None:
            return self._encode_new(value, annotation)
        try:
            made = self._writer.write(ready[0], ready[1], value)
        except BaseException:
            self._forget()
            raise
        if self._added or len(made) > self._largest:
            self._settle(len(made))
        return made

    def encode_all(self, *pairs: tuple[Any, Any]) -> bytes:
        """What is to be sent for several values, each with its annotation: all of them or none.

        Arguments and errors are :meth:`encode`'s. Where one can't be encoded, the stream is as it
        was before the first.
        """
        self._settled.clear()
        try:
            return b"".join([self.encode(value, annotation) for value, annotation in pairs])
        except BaseException:
            if self._settled:
                self._sent.difference_update(self._settled)
                self._ready.clear()  # which says of some of these that they were defined
            raise

    def call_writer(self, header: type) -> CallWriter:
        """What writes a *header* of net/rpc and a value in one step; see there."""
        writer: CallWriter = self._backend.gob_calls.CallWriter(
            self._writer.write, self._ready, self._added, self._forget, header, self._largest
        )
        return writer

    def _encode_new(self, value: Any, annotation: Any) -> bytes:
        """What :meth:`encode` does with a type that it hasn't seen yet, or that must be found."""
        if annotation is Raw or type(value) is Raw:
            return self._encode_raw(value, annotation)
        if annotation is Any:
            if isinstance(value, Named):
                _, wanted, value = self._registry.describe(value)
                return self._encode_first(value, wanted)[0]
            annotation = annotation_of(value)
        made, self._ready[annotation] = self._encode_first(value, gob_type(annotation))
        return made

    def _encode_first(self, value: Any, wanted: GobType) -> tuple[bytes, tuple[WritePlan, bytes]]:
        """What is to be sent, and what writes the next value of that type."""
        if value is None and wanted.base.kind != Kind.INTERFACE:
            raise UnsendableGob("gob: cannot encode nil value")
        plan = self._plan(wanted)
        try:
            definitions = self._define(wanted)
            head = encode_int(self._ids.id_of(wanted))
            made = self._writer.write(plan, head, value)
        except BaseException:
            self._forget()
            raise
        self._settle(len(made))
        framed = b"".join(encode_uint(len(each)) + each for each in definitions)
        return framed + made, (plan, head)

    def _encode_raw(self, value: Any, annotation: Any) -> bytes:
        if type(value) is not Raw or annotation not in (Raw, Any):
            raise UnsendableGob("a gob.Raw is sent as gob.Raw, and as nothing else")
        try:
            parts = take_apart(value, self._limits)
            definitions, numbers = self._define_all(parts)
            made = parts.write(numbers.__getitem__)
        except LimitExceeded as error:
            self._forget()
            raise LocalLimitExceeded(error.limit, error.figure, error.bound) from error
        except GobStreamError as error:
            self._forget()
            raise UnsendableGob(f"a gob.Raw that isn't one value: {error}") from error
        self._settle(len(made))
        return b"".join(definitions) + made

    def _define_all(self, parts: Parts) -> tuple[list[bytes], dict[int, int]]:
        """The definitions that the stream lacks for a value, and its types' ids here."""
        made: list[bytes] = []
        numbers: dict[int, int] = {}
        for number in parts.numbers:
            # One by one, or each mixture of values in interfaces would define all of theirs.
            needed = collect(parts.types, [number])
            first = self._ids.first_of(needed)
            numbers[number] = needed.numbers[number]
            if needed.types:
                numbers[number] += first - FIRST_OF_SET
                if needed.types not in self._sent:
                    self._sent.add(needed.types)
                    self._added.append(needed.types)
                    made.append(needed.write(first))
        return made, numbers

    def _settle(self, size: int) -> None:
        """Keep the definitions of a value of that many bytes, unless that is too large to go."""
        if size > self._largest:
            self._forget()
            raise LocalLimitExceeded("max_message_size", size, self._largest)
        self._settled += self._added
        self._added.clear()

    def _forget(self) -> None:
        """Take back the definitions of a value that won't be sent."""
        self._sent.difference_update(self._added)
        self._added.clear()

    def _plan(self, wanted: GobType) -> WritePlan:
        found = self._plans.get(wanted)
        if found is None:
            found = self._plans[wanted] = write_plan(self._backend, wanted)
        return found

    def _define(self, wanted: GobType) -> list[bytes]:
        """The definitions that the stream lacks for a type: its own, then its parts', as Go's."""
        made: list[bytes] = []
        waiting = [wanted]
        while waiting:
            each = waiting.pop()
            base = each.base
            if base.kind <= Kind.INTERFACE or base.identity in self._sent:
                continue
            self._sent.add(base.identity)
            self._added.append(base.identity)
            made.append(self._ids.define(each))
            parts = [field.type for field in base.fields]
            parts += [part for part in (base.key, base.elem) if part is not None]
            waiting += reversed(parts)
        return made

    def _describe(self, value: Any, depth: int) -> bytes | list[bytes]:
        """What an interface holds: name, definitions, id and value; see gob_writer.Describe."""
        if value is None:
            return b"\0"
        name, wanted, inner = self._registry.describe(value)
        data = name.encode("utf-8", "surrogateescape")
        head = encode_uint(len(data)) + data
        if inner is None:
            raise UnsendableGob(f"gob: cannot encode nil pointer of type {wanted.text}")
        definitions = self._define(wanted)
        made = encode_int(self._ids.id_of(wanted)) + self._writer.write(
            self._plan(wanted), b"", inner, depth
        )
        if not definitions:
            return head + made
        definitions[0] = head + definitions[0]
        return [*definitions, made]


def dumps(
    value: Any,
    annotation: Any = Any,
    *,
    registry: Registry | None = None,
    limits: Limits | None = None,
) -> bytes:
    """*value* as a stream of its own. Arguments and errors are :class:`Encoder`'s."""
    return Encoder(registry, limits).encode(value, annotation)
