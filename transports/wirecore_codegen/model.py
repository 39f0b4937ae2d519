"""What the generator knows of a .proto file: its services, as protoc's descriptors tell them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from .docstrings import comment_text
from .names import is_servable, method_names

#: Field numbers that lead to a place in a file: FileDescriptorProto.service, and method in it.
_SERVICE: Final = 6
_METHOD: Final = 2


class Refused(Exception):
    """A file asks for what wsrpc hasn't; the text names file, line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: the file that defines it, and its name there, from the outermost one on."""

    proto: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """A method. *name* is the one on the wire, *python_name* that of the generated function."""

    name: str
    python_name: str
    request: Message
    response: Message
    comment: str
    deprecated: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service; *full_name* has the package."""

    name: str
    full_name: str
    methods: tuple[Method, ...]
    comment: str
    deprecated: bool


@dataclass(frozen=True, slots=True)
class File:
    """A file that code is made of."""

    proto: str
    services: tuple[Service, ...]


#: Messages by their full names, as descriptors spell them: with a leading dot.
Messages = Mapping[str, Message]


def all_messages(files: Iterable[FileDescriptorProto]) -> Messages:
    """Every message of *files*, nested ones too. Raises Refused for names that none may have.

    They stand in code that others will run. protoc checks those in a file, but not the file's.
    """
    known = list(files)
    for file in known:
        _check_file_name(file.name)
        _check_identifiers(file.name, file.package.split(".") if file.package else [])
        for service in file.service:
            names = [service.name, *(method.name for method in service.method)]
            _check_identifiers(file.name, names)
    messages = dict(found for file in known for found in _messages_of(file))
    for message in messages.values():
        _check_identifiers(message.proto, message.path)
    return messages


def _check_file_name(name: str) -> None:
    if not name.isprintable() or any(mark in name for mark in "\"'\\"):
        raise Refused(
            f"{name!a}: a file's name has no quotes, backslashes or control characters: rename it"
        )


def _check_identifiers(file: str, names: Iterable[str]) -> None:
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise Refused(f"{file}: {name!a} can't be a name in a .proto file")


def _messages_of(file: FileDescriptorProto) -> Iterator[tuple[str, Message]]:
    prefix = f".{file.package}" if file.package else ""
    waiting: list[tuple[tuple[str, ...], DescriptorProto]] = [
        ((message.name,), message) for message in file.message_type
    ]
    while waiting:
        path, message = waiting.pop()
        yield f"{prefix}.{'.'.join(path)}", Message(file.name, path)
        waiting += [((*path, nested.name), nested) for nested in message.nested_type]


class _Places:
    """Where things stand in a file, and the comments around them."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file.name
        self._found = {tuple(each.path): each for each in file.source_code_info.location}

    def _at(self, *path: int) -> SourceCodeInfo.Location:
        return self._found.get(path) or SourceCodeInfo.Location()

    def comment(self, *path: int) -> str:
        """The comment of what stands at *path*."""
        place = self._at(*path)
        return comment_text(place.leading_comments, place.trailing_comments)

    def name(self, *path: int) -> str:
        """File and line, as compilers name them; without the line where that isn't known."""
        span = self._at(*path).span
        return f"{self._file}:{span[0] + 1}" if span else self._file


def read_file(file: FileDescriptorProto, messages: Messages) -> File:
    """The services of *file*. Raises Refused, with a line for each thing that can't be had."""
    places = _Places(file)
    problems = [
        f"{places.name(_SERVICE, at, _METHOD, number)}: {problem}"
        for at, service in enumerate(file.service)
        for number, method in enumerate(service.method)
        if (problem := _problem(_full_name(file, service), method))
    ]
    if problems:
        raise Refused("\n".join(problems))
    return File(
        file.name,
        tuple(
            _read_service(_full_name(file, service), service, messages, places, at)
            for at, service in enumerate(file.service)
        ),
    )


def _full_name(file: FileDescriptorProto, service: ServiceDescriptorProto) -> str:
    return f"{file.package}.{service.name}" if file.package else service.name


def _problem(service: str, method: MethodDescriptorProto) -> str:
    """What keeps *method* from being called over wsrpc; empty where nothing does."""
    streams = [
        side
        for side, streaming in (
            ("takes", method.client_streaming),
            ("returns", method.server_streaming),
        )
        if streaming
    ]
    if streams:
        return (
            f"service {service}, method {method.name}: it {' and '.join(streams)} a stream, and "
            "wsrpc has unary calls only: take the word stream away, or move the method to a "
            "service that stays with gRPC"
        )
    if not is_servable(method.name):
        return (
            f"service {service}, method {method.name}: Python needs this name for the class of "
            "the service itself: give the method another one"
        )
    return ""


def _read_service(
    full_name: str, service: ServiceDescriptorProto, messages: Messages, places: _Places, at: int
) -> Service:
    names = method_names(method.name for method in service.method)
    for method in service.method:
        for kind in (method.input_type, method.output_type):
            if kind not in messages:
                raise Refused(f"service {full_name}, method {method.name}: {kind!a} isn't there")
    return Service(
        service.name,
        full_name,
        tuple(
            Method(
                method.name,
                names[method.name],
                messages[method.input_type],
                messages[method.output_type],
                places.comment(_SERVICE, at, _METHOD, number),
                method.options.deprecated,
            )
            for number, method in enumerate(service.method)
        ),
        places.comment(_SERVICE, at),
        service.options.deprecated,
    )


def shared_methods(file: File) -> Iterator[str]:
    """A warning for each method's name that several services of *file* have."""
    owners: dict[str, list[str]] = {}
    for service in file.services:
        for method in service.methods:
            owners.setdefault(method.name, []).append(service.name)
    for name, services in owners.items():
        if len(services) > 1:
            yield (
                f"{file.proto}: warning: the services {', '.join(services)} all have a method "
                f"{name}; wsrpc sends a method's name without its service's, so that only one of "
                "them can be registered on a side"
            )
