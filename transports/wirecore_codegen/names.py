"""How names of .proto files become names of Python, as protoc's own Python generator has it."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Final

#: Names of methods that no service class can have: what the class itself stands on.
_OF_CLASSES: Final = frozenset({"wsrpc_methods", "_abc_impl"})


def module_of(proto: str, suffix: str) -> str:
    """The dotted name of the module that is made of the file *proto*, which ends in *suffix*.

    ``module_of("shop-api/v1.proto", "_pb2")`` is ``"shop_api.v1_pb2"``.
    """
    stem = proto.removesuffix(".protodevel").removesuffix(".proto")
    return stem.replace("-", "_").replace("/", ".") + suffix


def path_of(module: str) -> str:
    """The file of *module*, below the folder that protoc writes to."""
    return module.replace(".", "/") + ".py"


def is_plain(name: str) -> bool:
    """Whether code can spell *name* anywhere: no keyword, and nothing that classes mangle."""
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")


def is_plain_module(module: str) -> bool:
    """Whether an import statement can spell *module*."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in module.split("."))


def is_servable(name: str) -> bool:
    """Whether an object may have an attribute *name* that isn't Python's or the service's own."""
    dunder = name.startswith("__") and name.endswith("__")
    return not dunder and name not in _OF_CLASSES


class Names:
    """The names of one scope: each is given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def take(self, *wanted: str) -> str:
        """The first of *wanted* that is free; the last one with underscores where none is."""
        name = next((each for each in wanted if each not in self._taken), wanted[-1])
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def method_names(methods: Iterable[str]) -> dict[str, str]:
    """What each of *methods*, names on the wire, is called in Python: ``import`` is ``import_``."""
    listed = list(methods)
    names = Names(name for name in listed if is_plain(name))
    return {
        name: name if is_plain(name) else names.take(f"{name.strip('_') or 'method'}_")
        for name in listed
    }
