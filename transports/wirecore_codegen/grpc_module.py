"""``NAME_wsrpc_grpc.py``: the same services over gRPC.

A module of its own: programs that use wsrpc alone need no gRPC library, and what
``NAME_wsrpc.py`` says is the same with and without.
"""

from __future__ import annotations

from typing import Final

from . import wsrpc_module
from .docstrings import docstring
from .model import File, Service
from .module import Module, quoted
from .names import module_of

SUFFIX: Final = "_wsrpc_grpc"

_RUNTIME: Final = "wirecore_grpc"


def render(file: File) -> str:
    """The module's text."""
    made = [name for each in file.services for name in (_stub_name(each), _registration_name(each))]
    module = Module(file, "The services of wsrpc over gRPC: to call them, and to serve them.", made)
    for service in file.services:
        _add_registration(module, file, service)
        _add_stub(module, file, service)
    module.export(*made)
    return module.text()


def _stub_name(service: Service) -> str:
    return f"{service.name}GrpcStub"


def _registration_name(service: Service) -> str:
    return f"add_{wsrpc_module.class_name(service)}_to_grpc"


def _add_registration(module: Module, file: File, service: Service) -> None:
    serving = module.use(_RUNTIME, "GrpcServing")
    served = module.member(
        module_of(file.proto, wsrpc_module.SUFFIX), wsrpc_module.class_name(service)
    )
    about = (
        f"Serve {service.full_name} over gRPC with *service*; *inline* and what is raised are "
        "those of ``GrpcServing.register``."
    )
    module.add(
        f"def {_registration_name(service)}(serving: {serving}, service: {served.annotation}, *, "
        "inline: bool = False) -> None:",
        *docstring(about, 4),
        f"    serving.register({quoted(service.full_name)}, service, inline=inline)",
    )


def _add_stub(module: Module, file: File, service: Service) -> None:
    caller = module.use(_RUNTIME, "GrpcCaller")
    channel = module.use(_RUNTIME, "GrpcChannel")
    stub = module.member(
        module_of(file.proto, wsrpc_module.SUFFIX), wsrpc_module.stub_name(service)
    )
    about = (
        f"The stub of {service.full_name} over *channel*; for more than *call_timeout*, in "
        "seconds, give the stub a ``GrpcCaller`` of your own."
    )
    module.add(
        f"def {_stub_name(service)}(channel: {channel}, *, call_timeout: float | None = 60.0)"
        f" -> {stub.annotation}:",
        *docstring(about, 4),
        f"    return {stub.value}("
        f"{caller}(channel, {quoted(service.full_name)}, call_timeout=call_timeout))",
    )
