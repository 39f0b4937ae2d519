"""Classes that are structs: dataclasses, msgspec.Struct and NamedTuple, and their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from wirecore.errors import InvalidGobType
from wirecore.gob.annotations import Field
from wirecore.gob.names import check_field_name, check_json_name, go_field_name
from wirecore.gob_rules import MADE, Make


@dataclass(frozen=True, slots=True)
class Declared:
    """A field as its class declares it; *default* is MADE where it has none."""

    attribute: str
    name: str
    json_name: str
    default: Any = MADE
    factory: Callable[[], Any] | None = None


def is_struct(owner: type) -> bool:
    """Whether instances of *owner* are structs."""
    return dataclasses.is_dataclass(owner) or _is_msgspec(owner) or _is_named_tuple(owner)


def read_fields(owner: type, hints: Mapping[str, Any]) -> tuple[Make, list[Declared]]:
    """How an instance is made, and the fields that travel, in order.

    Those whose name begins with an underscore stay at home, and must have a default; so do those
    of a dataclass that ``__init__`` doesn't take.

    Raises :class:`~wirecore.errors.InvalidGobType` for two that would be one field in Go, for a
    name that Go doesn't export, and for a field that stays and has no default.
    """
    if _is_named_tuple(owner):
        make, found = Make.POSITIONS, list(_of_named_tuple(owner, hints))
    elif _is_msgspec(owner):
        make, found = Make.KEYWORDS, list(_of_msgspec(owner, hints))
    else:
        make, found = _make_of_dataclass(owner), list(_of_dataclass(owner, hints))
    _check_distinct(owner, "Go", [(each.name, each.attribute) for each in found])
    _check_distinct(owner, "JSON", [(each.json_name, each.attribute) for each in found])
    return make, found


def _check_distinct(owner: type, where: str, names: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, attribute in names:
        other = seen.setdefault(name, attribute)
        if other != attribute:
            raise InvalidGobType(
                f"{owner.__name__}: {other!r} and {attribute!r} are both {name!r} in {where}"
            )


def _is_named_tuple(owner: type) -> bool:
    return issubclass(owner, tuple) and hasattr(owner, "_field_defaults")


def _is_msgspec(owner: type) -> bool:
    return hasattr(owner, "__struct_fields__") and hasattr(owner, "__struct_config__")


def _stays(owner: type, attribute: str, has_default: bool) -> bool:
    if not attribute.startswith("_"):
        return False
    if not has_default:
        raise InvalidGobType(
            f"{owner.__name__}.{attribute} begins with an underscore, so it doesn't travel: it "
            "must have a default"
        )
    return True


def _names(attribute: str, hint: Any, name: Any = None, json: Any = None) -> tuple[str, str, str]:
    """What a field is called in the program, in Go and in JSON; *name* and *json* where given."""
    if get_origin(hint) is Annotated:
        for each in get_args(hint)[1:]:
            if isinstance(each, Field):
                name = name if each.name is None else each.name
                json = json if each.json is None else each.json
    if name is None:
        name = go_field_name(attribute)
    else:
        check_field_name(attribute, name)
    if json is None:
        json = name
    else:
        check_json_name(attribute, json)
    return attribute, name, json


def _of_dataclass(owner: Any, hints: Mapping[str, Any]) -> Iterator[Declared]:
    for each in dataclasses.fields(owner):
        factory = None if each.default_factory is dataclasses.MISSING else each.default_factory
        has_default = each.default is not dataclasses.MISSING or factory is not None
        if _stays(owner, each.name, has_default) or not each.init:
            continue
        default = MADE if each.default is dataclasses.MISSING else each.default
        given = each.metadata.get("gob"), each.metadata.get("json")
        yield Declared(*_names(each.name, hints[each.name], *given), default, factory)


def _make_of_dataclass(owner: Any) -> Make:
    """ATTRIBUTES where the generated ``__init__`` would do just that, else a call."""
    fields = dataclasses.fields(owner)
    parameters = owner.__dataclass_params__
    plain = (
        parameters.init
        and all(each.init and not each.name.startswith("_") for each in fields)
        and not hasattr(owner, "__post_init__")
        and owner.__new__ is object.__new__
        and (parameters.frozen or owner.__setattr__ is object.__setattr__)
        and "__init__" in vars(owner)
        # dataclasses keeps an __init__ that the class has written itself.
        and owner.__init__.__code__.co_filename == "<string>"
    )
    return Make.ATTRIBUTES if plain else Make.KEYWORDS


def _of_named_tuple(owner: Any, hints: Mapping[str, Any]) -> Iterator[Declared]:
    for each in owner._fields:
        if each not in hints:
            raise InvalidGobType(f"{owner.__name__}.{each} has no annotation")
        yield Declared(*_names(each, hints[each]), owner._field_defaults.get(each, MADE))


def _of_msgspec(owner: Any, hints: Mapping[str, Any]) -> Iterator[Declared]:
    names = owner.__struct_fields__
    required = len(names) - len(owner.__struct_defaults__)
    for at, each in enumerate(names):
        default: Any = MADE
        factory = None
        if at >= required:
            default = owner.__struct_defaults__[at - required]
            factory = getattr(default, "factory", None) if _is_factory(default) else None
            if factory is not None or type(default).__name__ == "NoDefaultType":
                default = MADE
        if not _stays(owner, each, default is not MADE or factory is not None):
            yield Declared(*_names(each, hints[each]), default, factory)


def _is_factory(default: object) -> bool:
    """Whether msgspec wraps a function here that makes the default."""
    return type(default).__module__.startswith("msgspec") and hasattr(default, "factory")
