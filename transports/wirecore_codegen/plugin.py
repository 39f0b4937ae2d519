"""protoc's request becomes its response: which files are made, and what protoc is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from google.protobuf import descriptor_pb2
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

from . import grpc_module, wsrpc_module
from .model import Refused, all_messages, read_file, shared_methods
from .names import module_of, path_of

#: What ``--wsrpc_python_opt`` takes.
PARAMETERS: Final = ("grpc",)

_FEATURES: Final = (
    CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS
)


def answer(request: bytes, *, warn: Callable[[str], object]) -> bytes:
    """The encoded CodeGeneratorResponse to an encoded CodeGeneratorRequest.

    *warn* gets what deserves a word without being wrong. Raises protobuf's DecodeError where
    *request* is none.
    """
    return generate(CodeGeneratorRequest.FromString(request), warn).SerializeToString()


def generate(request: CodeGeneratorRequest, warn: Callable[[str], object]) -> CodeGeneratorResponse:
    """The files that *request* asks for, or an error that protoc reports."""
    response = CodeGeneratorResponse(
        supported_features=_FEATURES,
        minimum_edition=descriptor_pb2.EDITION_PROTO2,
        maximum_edition=newest_edition(),
    )
    try:
        with_grpc = "grpc" in read_parameters(request.parameter)
        files = _made(request, warn, with_grpc=with_grpc)
    except Refused as refused:
        response.error = str(refused)
        return response
    for module, content in files:
        response.file.add(name=path_of(module), content=content)
    return response


def newest_edition() -> int:
    """The newest edition that the installed protobuf knows.

    Editions change how fields behave; names of services and messages, which is all that is read
    here, are the same in each.
    """
    numbers: dict[str, int] = dict(descriptor_pb2.Edition.items())
    return max(
        number for name, number in numbers.items() if name.removeprefix("EDITION_").isdecimal()
    )


def read_parameters(parameter: str) -> set[str]:
    """The parameters in *parameter*, which has commas between them. Raises Refused."""
    given = {each.strip() for each in parameter.split(",")} - {""}
    unknown = sorted(given - set(PARAMETERS))
    if unknown:
        raise Refused(
            f"unknown parameter {', '.join(map(repr, unknown))}; "
            f"the known ones are: {', '.join(PARAMETERS)}"
        )
    return given


def _made(
    request: CodeGeneratorRequest, warn: Callable[[str], object], *, with_grpc: bool
) -> list[tuple[str, str]]:
    """Names and texts of the modules, and Refused with what is wrong in any of the files."""
    messages = all_messages(request.proto_file)
    wanted = set(request.file_to_generate)
    made, problems = [], []
    for descriptor in request.proto_file:
        if descriptor.name not in wanted or not descriptor.service:
            continue
        try:
            file = read_file(descriptor, messages)
        except Refused as refused:
            problems.append(str(refused))
            continue
        for warning in shared_methods(file):
            warn(warning)
        made.append((module_of(file.proto, wsrpc_module.SUFFIX), wsrpc_module.render(file)))
        if with_grpc:
            made.append((module_of(file.proto, grpc_module.SUFFIX), grpc_module.render(file)))
    if problems:
        raise Refused("\n".join(problems))
    return made
