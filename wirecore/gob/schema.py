"""Annotations of the program as gob types."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Hashable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin

from wirecore.errors import InvalidGobType
from wirecore.gob import annotations as marks
from wirecore.gob.names import go_type_names
from wirecore.gob.opaque import ZERO_TIME, decode_time, encode_time, is_zero_time, methods_of
from wirecore.gob.structs import is_struct, read_fields
from wirecore.gob.types import GobType, StructField, zero_of
from wirecore.gob_rules import MADE, Kind

_WIDTHS: Final[dict[object, marks.Width]] = {
    int: marks.INT,
    float: marks.FLOAT64,
    complex: marks.COMPLEX128,
}

#: What was made of annotations. Of one class there is one type, whoever asks.
_known: dict[Hashable, GobType] = {}


def gob_type(annotation: Any) -> GobType:
    """The gob type of *annotation*.

    Raises :class:`~wirecore.errors.InvalidGobType` where there is none, which says why.
    """
    try:
        found = _known.get(annotation)
    except TypeError:
        found = None  # an annotation that isn't hashable
    if found is None:
        builder = _Builder()
        try:
            found = builder.build(annotation)
        except RecursionError:
            raise InvalidGobType(
                f"{_shown(annotation)} holds itself without a class in between"
            ) from None
        for made in builder.made.values():
            _check_finite(made, ())
        _known.update(builder.made)
        try:
            _known[annotation] = found
        except TypeError:
            pass
    return found


class _Builder:
    """Makes one type and all that it is made of. *made*: its structs, which may be recursive."""

    def __init__(self) -> None:
        self.made: dict[Hashable, GobType] = {}

    def build(self, annotation: Any, given: tuple[Any, ...] = ()) -> GobType:
        """The type of *annotation*, of which Annotated says *given*."""
        if get_origin(annotation) is Annotated:
            inner, *metadata = get_args(annotation)
            return self.build(inner, (*metadata, *given))
        if hasattr(annotation, "__value__"):  # a type alias by the statement of Python 3.12
            return self.build(annotation.__value__, given)
        if isinstance(annotation, NewType):
            name = marks.Name(annotation.__name__)
            return self.build(annotation.__supertype__, (name, *given))
        if get_origin(annotation) in (Union, types.UnionType):
            return self._optional(annotation, given)
        _check_marks(annotation, given)
        made = self._make(annotation, given)
        name = _one(marks.Name, given)
        return made if name is None else _renamed(made, name.name)

    def _make(self, annotation: Any, given: tuple[Any, ...]) -> GobType:
        origin = get_origin(annotation)
        if origin in (list, tuple):
            return self._sequence(annotation, origin, given)
        if origin is dict:
            return self._map(*get_args(annotation))
        if annotation in (Any, object):
            return _plain(Kind.INTERFACE, "interface {}", name="")
        if annotation is bytes:
            return _bytes(given)
        if _is_one_of(annotation, _WIDTHS):
            return _number(annotation, given)
        if _is_one_of(annotation, _BARE):
            return _BARE[annotation]()
        if isinstance(annotation, type):
            return self._class(annotation)
        raise InvalidGobType(f"{_shown(annotation)} has no counterpart in gob")

    def _optional(self, annotation: Any, given: tuple[Any, ...]) -> GobType:
        members = [each for each in get_args(annotation) if each is not type(None)]
        if len(members) != 1 or len(members) == len(get_args(annotation)):
            raise InvalidGobType(
                f"{_shown(annotation)}: gob has no unions; T | None is a pointer, and Any takes "
                "what a registry names"
            )
        elem = self.build(members[0], given)
        if elem.kind in (Kind.INTERFACE, Kind.SLICE, Kind.MAP, Kind.BYTES):
            # These are nil without a pointer. The zero of one that may be None is None.
            return _pointer(elem, elem.text, elem.identity)
        return _pointer(elem, f"*{elem.text}", ("pointer", elem.identity))

    def _sequence(self, annotation: Any, origin: Any, given: tuple[Any, ...]) -> GobType:
        arguments = get_args(annotation)
        array = _one(marks.Array, given)
        size = None if array is None else array.size
        if origin is tuple and arguments[1:] != (...,):
            if len(set(arguments)) != 1 or size is not None:
                raise InvalidGobType(
                    f"{_shown(annotation)}: gob's sequences have elements of one type: "
                    "tuple[T, ...], or tuple[T, T] for an array of two"
                )
            size = len(arguments)
        elem = self.build(arguments[0])
        return _list(elem, size, origin is tuple)

    def _map(self, key_annotation: Any, elem_annotation: Any) -> GobType:
        key, elem = self.build(key_annotation), self.build(elem_annotation)
        if key.base.kind in (Kind.SLICE, Kind.MAP, Kind.BYTES):
            raise InvalidGobType(f"{key.text} can't be a map's key in Go")
        text = f"map[{key.text}]{elem.text}"
        identity = ("map", key.identity, elem.identity)
        return GobType(Kind.MAP, "", text, identity, key=key, elem=elem)

    def _class(self, owner: type) -> GobType:
        found = _known.get(owner) or self.made.get(owner)
        if found is not None:
            return found
        name, text = go_type_names(vars(owner).get("__gob_name__", owner.__name__))
        methods = methods_of(owner)
        if methods is not None:
            made = GobType(Kind.OPAQUE, name, text, owner, owner=owner)
            made.member, made.encode, made.decode, made.is_zero = methods
            made.zero = getattr(owner, "gob_zero", owner)
            self.made[owner] = made
            return made
        if not is_struct(owner):
            raise InvalidGobType(
                f"{owner.__name__} has no counterpart in gob: it must be a dataclass, a "
                "msgspec.Struct or a NamedTuple, or have gob_encode and gob_decode"
            )
        made = GobType(Kind.STRUCT, name, text, owner, owner=owner)
        self.made[owner] = made
        self._fill(made, owner)
        return made

    def _fill(self, made: GobType, owner: type) -> None:
        """The fields of a struct, which may hold others of its type."""
        try:
            hints = typing.get_type_hints(
                owner, localns={owner.__name__: owner}, include_extras=True
            )
        except (NameError, TypeError, SyntaxError) as error:
            raise InvalidGobType(
                f"{owner.__name__} has an annotation that can't be resolved ({error}): the names "
                "in it must be globals of its module"
            ) from error
        make, found = read_fields(owner, hints)
        fields: list[StructField] = []
        for each in found:
            kind = self.build(hints[each.attribute])
            default, factory = each.default, each.factory
            if default is MADE and factory is None:
                default, factory = zero_of(kind)
            names = each.attribute, each.name, each.json_name
            fields.append(StructField(*names, kind, default, factory))
        made.make, made.fields = make, tuple(fields)
        if not made.text.removeprefix("main."):
            shown = "".join(f"{each.name} {each.type.text}; " for each in fields)
            made.text = f"struct {{ {shown[:-2]} }}" if fields else "struct {}"


def _check_finite(made: GobType, within: tuple[GobType, ...]) -> None:
    """Raise :class:`~wirecore.errors.InvalidGobType` for a struct that holds one of itself."""
    if made in within:
        raise InvalidGobType(f"{made.text} holds itself: the field must be {made.name} | None")
    if made.kind == Kind.ARRAY and made.elem is not None:
        _check_finite(made.elem, within)
    elif made.kind == Kind.STRUCT:
        for each in made.fields:
            _check_finite(each.type, (*within, made))


def _is_one_of(annotation: Any, known: Collection[Any]) -> bool:
    try:
        return annotation in known
    except TypeError:  # it isn't hashable
        return False


def _check_marks(annotation: Any, given: tuple[Any, ...]) -> None:
    """Raise :class:`~wirecore.errors.InvalidGobType` for a mark that says nothing of the type."""
    for kind, fits, needed in (
        (marks.Width, _is_one_of(annotation, _WIDTHS), "int, float or complex"),
        (marks.Array, get_origin(annotation) in (list, tuple), "a list or tuple"),
        (marks.Opaque, annotation is bytes, "bytes"),
    ):
        mark = _one(kind, given)
        if mark is not None and not fits:
            raise InvalidGobType(f"{mark} is for {needed}, not for {_shown(annotation)}")


def _one(kind: type[Any], given: tuple[Any, ...]) -> Any:
    """The last of *given* that is a *kind*, or None."""
    found = [each for each in given if isinstance(each, kind)]
    return found[-1] if found else None


def _shown(annotation: object) -> str:
    return getattr(annotation, "__name__", None) or repr(annotation)


def _plain(kind: Kind, text: str, *, name: str | None = None, bits: int = 64) -> GobType:
    named = text if name is None else name
    basic = "" if kind == Kind.INTERFACE else text
    return GobType(kind, named, text, text, bits=bits, basic=basic)


def _number(annotation: Any, given: tuple[Any, ...]) -> GobType:
    width = _one(marks.Width, given) or _WIDTHS[annotation]
    if width.kind != _WIDTHS[annotation].kind and (annotation, width.kind) != (int, Kind.UINT):
        raise InvalidGobType(f"{annotation.__name__} can't be a {width.text}")
    return _plain(width.kind, width.text, bits=width.bits)


def _bytes(given: tuple[Any, ...]) -> GobType:
    opaque = _one(marks.Opaque, given)
    if opaque is None:
        return GobType(Kind.BYTES, "", "[]uint8", "[]uint8")
    return GobType(Kind.OPAQUE, "", "[]uint8", ("opaque", opaque.member, ""), member=opaque.member)


def _time() -> GobType:
    made = GobType(Kind.OPAQUE, "Time", "time.Time", datetime, owner=datetime, member=5)
    made.encode, made.decode, made.is_zero = encode_time, decode_time, is_zero_time
    made.zero = lambda: ZERO_TIME
    return made


_BARE: Final[dict[object, Callable[[], GobType]]] = {
    bool: lambda: _plain(Kind.BOOL, "bool"),
    str: lambda: _plain(Kind.STRING, "string"),
    datetime: _time,
}


def _list(elem: GobType, size: int | None, frozen: bool) -> GobType:
    if size is not None:
        text = f"[{size}]{elem.text}"
        identity: Hashable = ("array", size, elem.identity)
        return GobType(Kind.ARRAY, "", text, identity, elem=elem, size=size, frozen=frozen)
    if elem.kind == Kind.UINT and elem.bits == 8:
        raise InvalidGobType("a slice of uint8 is bytes in Go: annotate it so")
    identity = ("slice", elem.identity)
    return GobType(Kind.SLICE, "", f"[]{elem.text}", identity, elem=elem, frozen=frozen)


def _pointer(elem: GobType, text: str, identity: Hashable) -> GobType:
    return GobType(Kind.POINTER, "", text, identity, elem=elem)


def _renamed(made: GobType, given: str) -> GobType:
    """The same under another name; one of a number, string or bool is no basic type any more."""
    if made.kind == Kind.STRUCT:
        raise InvalidGobType(f"{made.text}: the name of a class is said by its __gob_name__")
    name, text = go_type_names(given)
    identity = ("named", text, made.identity)
    return replace(made, name=name, text=text, identity=identity, basic="", plans={})
