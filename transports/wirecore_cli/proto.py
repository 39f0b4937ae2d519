"""Services of a .proto file, read when they are needed: JSON in place of generated classes.

It takes the extra ``codegen``: grpcio-tools brings protoc, protobuf what makes messages of its
output.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .failures import Failure, Status

#: Seconds for protoc, which takes a fraction of one.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Method:
    """A method of a service: its names, and the classes of its messages."""

    #: As it goes over the wire.
    name: str
    #: The service's name, with its package.
    service: str
    request: Any
    response: Any
    pool: Any

    @property
    def full_name(self) -> str:
        """The name that no other method has."""
        return f"{self.service}/{self.name}"

    def encode(self, text: bytes) -> bytes:
        """The request that the JSON *text* says. Raises Failure."""
        from google.protobuf import json_format

        kind = self.request.DESCRIPTOR.full_name
        # Those of protobuf's own messages that have another form, as Timestamp has text.
        if not isinstance(_read_json(text), dict) and not kind.startswith("google.protobuf."):
            raise Failure(f"--data is no {kind}, which is an object: {{...}}", Status.USAGE)
        try:
            message = json_format.Parse(text, self.request(), descriptor_pool=self.pool)
        except json_format.ParseError as error:
            raise Failure(f"--data is no {kind}: {error}", Status.USAGE) from None
        encoded: bytes = message.SerializeToString()
        return encoded

    def decode(self, payload: bytes) -> str:
        """The answer *payload* in JSON. Raises Failure."""
        from google.protobuf import json_format
        from google.protobuf.message import DecodeError

        kind = self.response.DESCRIPTOR.full_name
        try:
            message = self.response.FromString(payload)
            text: str = json_format.MessageToJson(message, descriptor_pool=self.pool)
        except (DecodeError, json_format.SerializeToJsonError) as error:
            raise Failure(f"the answer of {self.name} is no {kind}: {error}") from None
        return text


@dataclass(frozen=True)
class Schema:
    """The methods of a .proto file and of what it imports."""

    file: Path
    methods: Sequence[Method]

    def method(self, name: str) -> Method:
        """The method *name*: bare, or behind its service's name, with or without the package.

        Raises Failure where there is none, or more than one.
        """
        found = [method for method in self.methods if name in _names(method)]
        if len(found) == 1:
            return found[0]
        if found:
            choices = ", ".join(method.full_name for method in found)
            raise Failure(f"{name!r} is a method of several services: {choices}", Status.USAGE)
        raise Failure(self._unknown(name), Status.USAGE)

    def _unknown(self, name: str) -> str:
        if not self.methods:
            return f"{self.file} has no service, and so no {name!r}"
        known = {each.casefold(): method for method in self.methods for each in _names(method)}
        near = difflib.get_close_matches(name.casefold(), known, n=3)
        # Without a near one all are near enough.
        methods = [known[each] for each in near] or self.methods
        names = ", ".join(dict.fromkeys(method.full_name for method in methods))
        words = "did you mean" if near else "it has"
        return f"{self.file} has no method {name!r}: {words} {names}"


def load_schema(file: Path, includes: Sequence[Path]) -> Schema:
    """Read *file*; *includes* are the folders for it and its imports, by default its own.

    Raises Failure where it can't be read, or what reads it isn't installed.
    """
    for module, distribution in (("grpc_tools", "grpcio-tools"), ("google.protobuf", "protobuf")):
        if not _is_there(module):
            raise Failure(f"--proto needs {distribution}: pip install 'wirecore[codegen]'")
    from google.protobuf import descriptor_pb2, descriptor_pool

    described = descriptor_pb2.FileDescriptorSet.FromString(_compile(file, includes))
    pool = descriptor_pool.DescriptorPool()
    for each in described.file:
        pool.Add(each)
    return Schema(file, [*_methods(described, pool)])


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def _compile(file: Path, includes: Sequence[Path]) -> bytes:
    """What protoc makes of *file*, its imports included: a FileDescriptorSet."""
    if not file.is_file() and not includes:
        raise Failure(f"--proto: there is no file {file}", Status.USAGE)
    folders = includes or [file.parent]
    with tempfile.TemporaryDirectory(prefix="wirecore-") as folder:
        made = Path(folder, "descriptors")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                *(f"-I{each}" for each in folders),
                "--include_imports",
                f"--descriptor_set_out={made}",
                str(file),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
        if done.returncode == 0:
            return made.read_bytes()
    # protoc's first line names the file, the line and the fault.
    said = done.stderr.strip().splitlines() or [f"protoc ended with status {done.returncode}"]
    raise Failure(f"--proto: {said[0]}", Status.USAGE)


def _methods(described: Any, pool: Any) -> Iterator[Method]:
    from google.protobuf.message_factory import GetMessageClass

    for file in described.file:
        for service in file.service:
            name = f"{file.package}.{service.name}" if file.package else service.name
            for method in service.method:
                # Streaming is ignored, as the original's generator does: each call is unary.
                request, response = (
                    GetMessageClass(pool.FindMessageTypeByName(kind.lstrip(".")))
                    for kind in (method.input_type, method.output_type)
                )
                yield Method(method.name, name, request, response, pool)


def _names(method: Method) -> set[str]:
    """All that *method* may be called: Ping, Service/Ping, Service.Ping, pkg.Service/Ping..."""
    bare = method.service.rpartition(".")[2]
    services = {method.service, bare}
    return {method.name} | {f"{each}{sign}{method.name}" for each in services for sign in "/."}


def _read_json(text: bytes) -> object:
    """What *text* says. Raises Failure, which names line and column, where it is no JSON."""
    try:
        return json.loads(text)
    except UnicodeDecodeError:
        raise Failure("--data is no JSON: it isn't UTF-8", Status.USAGE) from None
    except json.JSONDecodeError as error:
        raise Failure(
            f"--data is no JSON: line {error.lineno}, column {error.colno}: {error.msg}",
            Status.USAGE,
        ) from None
