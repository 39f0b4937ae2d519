"""``NAME_wsrpc.py``: for each service a stub to call it, a class to serve it, a registration."""

from __future__ import annotations

from typing import Final

from .docstrings import docstring
from .model import File, Method, Service
from .module import Module, python_names, quoted

SUFFIX: Final = "_wsrpc"

_RUNTIME: Final = "wirecore_trio.wsrpc"
_ABC: Final = "collections.abc"


def stub_name(service: Service) -> str:
    """The class that calls *service*."""
    return f"{service.name}Stub"


def class_name(service: Service) -> str:
    """The class that serves *service*."""
    return f"{service.name}Service"


def render(file: File) -> str:
    """The module's text."""
    made = [name for each in file.services for name in (stub_name(each), class_name(each))]
    registrations = [f"add_{class_name(each)}_to" for each in file.services]
    module = Module(
        file,
        "Services for wsrpc: stubs to call them, and base classes to serve them.",
        [*made, *registrations, *python_names(file)],
    )
    for service in file.services:
        _add_stub(module, service)
        _add_class(module, service)
        _add_registration(module, service)
    module.export(*made, *registrations)
    return module.text()


def _documented(summary: str, comment: str, *, deprecated: bool) -> str:
    """*comment* below *summary*, where there are both, and whether one should go on using it."""
    parts = [summary, comment, "Deprecated." if deprecated else ""]
    return "\n\n".join(part for part in parts if part)


def _add_stub(module: Module, service: Service) -> None:
    caller = module.use(_RUNTIME, "Caller")
    attribute = "_caller"
    while any(method.python_name == attribute for method in service.methods):
        attribute += "_"
    about = _documented(
        f"Calls the methods of {service.full_name} at the other end of *caller*.",
        service.comment,
        deprecated=service.deprecated,
    )
    module.add(
        f"class {stub_name(service)}:",
        *docstring(about, 4),
        "",
        f"    def __init__(self, caller: {caller}) -> None:",
    )
    if service.deprecated:
        module.append(_warning(module, f"the service {service.full_name}"))
    module.append(f"        self.{attribute} = caller")
    for method in service.methods:
        request, response = module.message(method.request), module.message(method.response)
        about = _documented(
            "" if method.comment else "Call it; raises what ``Caller.invoke`` raises.",
            method.comment,
            deprecated=method.deprecated,
        )
        module.append(
            "",
            f"    async def {method.python_name}(self, request: {request.annotation})"
            f" -> {response.annotation}:",
            *docstring(about, 8),
        )
        if method.deprecated:
            module.append(_warning(module, f"the method {service.full_name}.{method.name}"))
        module.append(
            f"        return await self.{attribute}.invoke("
            f"{quoted(method.name)}, request, {response.value})",
        )
    aliases = [
        f"setattr({stub_name(service)}, {quoted(each.name)}, "
        f"{stub_name(service)}.{each.python_name})"
        for each in _renamed(service)
    ]
    if aliases:
        module.add(*aliases)


def _warning(module: Module, what: str) -> str:
    warnings = module.use_module("warnings")
    text = quoted(f"{what} is deprecated")
    return f"        {warnings}.warn({text}, DeprecationWarning, stacklevel=2)"


def _renamed(service: Service) -> list[Method]:
    return [each for each in service.methods if each.name != each.python_name]


def _add_class(module: Module, service: Service) -> None:
    types = module.use(_RUNTIME, "MethodTypes")
    mapping = f"{module.use(_ABC, 'Mapping')}[str, {types}]"
    table = f"    wsrpc_methods: {module.use('typing', 'ClassVar')}[{mapping}] = {{"
    about = _documented(
        f"Serve {service.full_name} by inheriting from this.",
        service.comment,
        deprecated=service.deprecated,
    )
    module.add(
        f"class {class_name(service)}({module.use('abc', 'ABC')}):", *docstring(about, 4), ""
    )
    entries = []
    for method in service.methods:
        request, response = module.message(method.request), module.message(method.response)
        entries.append(
            f"        {quoted(method.name)}: {types}({request.value}, {response.value}),"
        )
    module.append(*([table, *entries, "    }"] if entries else [f"{table}}}"]))
    for method in service.methods:
        _append_abstract(module, method)
    # What is served is looked up by its name on the wire.
    aliases = [
        f"setattr({class_name(service)}, {quoted(each.name)}, "
        f"property({module.use('operator', 'attrgetter')}({quoted(each.python_name)})))"
        for each in _renamed(service)
    ]
    if aliases:
        module.add(*aliases)


def _append_abstract(module: Module, method: Method) -> None:
    request, response = module.message(method.request), module.message(method.response)
    peer = module.use(_RUNTIME, "Peer")
    awaitable = module.use(_ABC, "Awaitable")
    about = _documented(
        ""
        if method.comment
        else f"Answer {method.name}: ``async def`` in a task, or ``def`` in a thread, where it "
        "may block.",
        method.comment,
        deprecated=method.deprecated,
    )
    module.append(
        "",
        f"    @{module.use('abc', 'abstractmethod')}",
        f"    def {method.python_name}(self, request: {request.annotation}, peer: {peer})"
        f" -> {response.annotation} | {awaitable}[{response.annotation}]:",
        *docstring(about, 8),
    )


def _add_registration(module: Module, service: Service) -> None:
    serving = module.use(_RUNTIME, "Serving")
    about = (
        f"Serve {service.full_name} with *service*; *inline* and what is raised are those of "
        "``Serving.register``."
    )
    module.add(
        f"def add_{class_name(service)}_to("
        f"serving: {serving}, service: {class_name(service)}, *, inline: bool = False) -> None:",
        *docstring(about, 4),
        "    serving.register(service, inline=inline)",
    )
