"""What Go calls the fields and types of the program."""

from __future__ import annotations

from wirecore.errors import InvalidGobType

#: Where types are that don't say.
DEFAULT_PACKAGE = "main"

#: What the name in a tag may have beside letters and digits, as encoding/json takes it.
_IN_TAGS = "!#$%&()*+-./:;<=>?@[]^_{|}~ "


def go_field_name(attribute: str) -> str:
    """The Go field that *attribute* is, where nothing else is said.

    The parts between underscores, each with its first letter in upper case, put together:
    ``quo`` is Quo, ``first_name`` FirstName, ``userID`` UserID, ``class_`` Class.

    Raises :class:`~wirecore.errors.InvalidGobType` where that begins with no capital letter.
    """
    name = "".join(part[:1].upper() + part[1:] for part in attribute.split("_"))
    check_field_name(attribute, name)
    return name


def check_field_name(attribute: str, name: object) -> None:
    """Raise :class:`~wirecore.errors.InvalidGobType` unless *name* is one that Go exports."""
    if not isinstance(name, str) or not name.isidentifier() or not name[0].isupper():
        raise InvalidGobType(
            f"field {attribute!r} would be {name!r} in Go, which doesn't begin with a capital "
            'letter: name it by Annotated[..., gob.Field("Name")]'
        )


def check_json_name(attribute: str, name: object) -> None:
    """Raise :class:`~wirecore.errors.InvalidGobType` unless *name* may stand in a tag of Go's."""
    if not isinstance(name, str) or not name or not all(map(_may_stand_in_tag, name)):
        raise InvalidGobType(
            f"field {attribute!r} would be {name!r} in JSON: a name there has letters, digits and "
            f"{_IN_TAGS!r} alone"
        )


def _may_stand_in_tag(mark: str) -> bool:
    return mark.isalpha() or mark.isdecimal() or mark in _IN_TAGS


def go_type_names(name: str) -> tuple[str, str]:
    """A type's Go name without and with its package, of what is given for it."""
    package, _, bare = name.rpartition(".")
    return bare, f"{package or DEFAULT_PACKAGE}.{bare}"
