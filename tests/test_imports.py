"""The directions of imports, where import-linter can't see: compiled sources, and real runs.

import-linter (its contracts stand in pyproject.toml) reads .py files only. Here the imports and
cimports of .pyx and .pxd files are read as well, and every module is imported alone in a fresh
process, which finds what only works because something else was imported before.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wirecore
import wirecore_asgi
import wirecore_browser
import wirecore_cli
import wirecore_codegen
import wirecore_grpc
import wirecore_py
import wirecore_trio
from wirecore import _backend, constants, errors, events

PACKAGES = (
    wirecore,
    wirecore_asgi,
    wirecore_browser,
    wirecore_cli,
    wirecore_codegen,
    wirecore_grpc,
    wirecore_py,
    wirecore_trio,
)
#: The sources, wherever the packages are installed: wheels hold no .pyx.
SOURCES = Path(__file__).parents[1] / "wirecore"

#: What a compiled module may use of wirecore: the leaves and its compiled siblings.
LEAVES = {
    f"wirecore.{leaf}"
    for leaf in (
        "constants",
        "errors",
        "events",
        "gob_rules",
        "histogram_rules",
        "long_frame",
        "protobuf",
        "rules",
        "webwire_rules",
    )
}

#: No part of the sans-IO core looks at these.
IO_MODULES = {"asyncio", "select", "selectors", "socket", "ssl", "threading", "time", "trio"}


def all_modules() -> list[str]:
    """Every importable module of the packages, compiled ones too."""
    return sorted(
        name
        for package in PACKAGES
        for name in [
            package.__name__,
            *(
                found.name
                for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
                if not found.name.endswith("__main__")
            ),
        ]
    )


def imports_of_cython(text: str) -> set[str]:
    """The modules that a .pyx or .pxd names in its imports and cimports.

    ``from package cimport module`` counts as ``package.module`` too: which of both it is can't
    be told from the text.
    """
    text = re.sub(r"#.*", "", text)
    found = set()
    for match in re.finditer(r"^\s*(?:cimport|import)\s+(.+)$", text, re.MULTILINE):
        found |= {part.split(" as ")[0].strip() for part in match[1].split(",")}
    statement = r"^\s*from\s+([\w.]+)\s+c?import\s+(\([^)]*\)|.+)$"
    for match in re.finditer(statement, text, re.MULTILINE):
        names = [part.split(" as ")[0].strip() for part in match[2].strip("()").split(",")]
        if match[1] == "wirecore":
            found |= {f"wirecore.{name}" for name in names if name}
        else:
            found.add(match[1])
    return found


@pytest.fixture(scope="module")
def failed_imports() -> dict[str, str]:
    """The modules that can't be imported alone, each with the traceback.

    Each is imported in a process of its own, forked from one that has loaded the libraries that
    wirecore stands on, but nothing of ours: starting an interpreter for each takes a minute. Not
    so where its package, which comes first in any case, has it loaded already.
    """
    code = """
import json, os, sys, traceback
import OpenSSL, cryptography, h11, trio, wsproto
failed, loads = {}, {}
for name in sys.argv[1:]:
    if name in loads.get(name.rpartition(".")[0], ()):
        loads[name] = loads[name.rpartition(".")[0]]
        continue
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            __import__(name)
            told = [None, [each for each in sys.modules if each.startswith("wirecore")]]
        except BaseException:
            told = [traceback.format_exc(), []]
        with os.fdopen(write, "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text, loaded = json.load(pipe)
    os.waitpid(child, 0)
    if text is None:
        loads[name] = frozenset(loaded)
    else:
        failed[name] = text
print(json.dumps(failed))
"""
    command = [sys.executable, "-P", "-W", "error", "-c", code, *all_modules()]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform can't fork")
@pytest.mark.parametrize("module", all_modules())
def test_each_module_imports_alone(module: str, failed_imports: dict[str, str]) -> None:
    assert not failed_imports.get(module)


@pytest.mark.parametrize("source", sorted(path.name for path in SOURCES.glob("*.p[yx][xd]")))
def test_compiled_sources_import_only_leaves_and_siblings(source: str) -> None:
    found = imports_of_cython((SOURCES / source).read_text(encoding="utf-8"))
    ours = {name for name in found if name.split(".")[0].startswith("wirecore")}
    siblings = {name for name in ours if re.fullmatch(r"wirecore\._\w+", name)}
    assert "wirecore._backend" not in found, "a compiled module can't know which backend is in use"
    assert ours - siblings <= LEAVES
    assert not {name.split(".")[0] for name in found} & IO_MODULES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from wirecore._mask cimport xor_into", {"wirecore._mask"}),
        ("from wirecore cimport _mask, _utf8 as u", {"wirecore._mask", "wirecore._utf8"}),
        ("cimport cython\nfrom libc.string cimport (\n    memcpy,\n)", {"cython", "libc.string"}),
        ("    import os, socket  # inside a function", {"os", "socket"}),
    ],
)
def test_imports_of_cython_are_read(text: str, expected: set[str]) -> None:
    assert imports_of_cython(text) == expected


def test_every_compiled_source_is_in_the_list_that_the_build_reads() -> None:
    own = {path.stem for path in SOURCES.glob("_*.pyx")}
    assert own <= {f"_{name}" for name in _backend.MODULES}
    # The others are their twins as they stand, compiled with types.
    for name in _backend.MODULES:
        assert f"_{name}" in own or (SOURCES / f"_{name}.pxd").exists(), name


def test_every_compiled_name_has_a_pure_twin() -> None:
    try:
        compiled = _backend.load("c")
    except ImportError as error:
        pytest.skip(f"there is nothing to compare with: {error}")
    for module in _backend.MODULES:
        twin = getattr(_backend.load("py"), module)
        made_here = {
            name
            for name, value in vars(getattr(compiled, module)).items()
            if not name.startswith("_")
            and getattr(value, "__module__", None) == f"wirecore._{module}"
        }
        assert made_here, f"wirecore._{module} has no public name"
        assert made_here <= vars(twin).keys(), f"wirecore_py.{module} lacks names"


def test_importing_wirecore_loads_almost_nothing() -> None:
    code = (
        "import json, sys; before = set(sys.modules); import wirecore; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    # A backend that the environment asks for is looked for at once: not what is meant here.
    environment = {k: v for k, v in os.environ.items() if k != "WIRECORE_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert set(json.loads(done.stdout)) <= {"wirecore"}


def test_exported_names_exist_and_are_found_lazily() -> None:
    for name in wirecore.__all__:
        assert getattr(wirecore, name) is not None
        assert name in dir(wirecore)
    unknown = "nonsense"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(wirecore, unknown)


def test_every_error_and_event_is_exported() -> None:
    defined = {
        name
        for leaf in (errors, events)
        for name, value in inspect.getmembers(leaf, inspect.isclass)
        if value.__module__ == leaf.__name__
    }
    assert defined | {"Opcode", "CloseCode"} <= set(wirecore.__all__)
    assert constants.Opcode is wirecore.Opcode


def test_type_checkers_see_the_same_names_as_the_runtime() -> None:
    tree = ast.parse(Path(wirecore.__file__).read_text(encoding="utf-8"))
    typed = next(n for n in tree.body if isinstance(n, ast.If) and isinstance(n.test, ast.Name))
    names = {
        alias.name
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } | {ast.unparse(node.target) for node in typed.body if isinstance(node, ast.AnnAssign)}
    assert names - {"BackendName"} == set(wirecore.__all__) - {"__version__"}
