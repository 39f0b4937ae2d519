"""Wheels of every kind: built from the source distribution, installed, and run.

A machine with a compiler, one whose compiler fails, one without, one without Cython: each gets a
package that works and that tells which backend it has and why.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wirecore import _backend

if TYPE_CHECKING:
    from tests.packaging.conftest import Workshop

pytestmark = pytest.mark.slow

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
COMPILED = {f"wirecore/_{name}{SUFFIX}" for name in _backend.MODULES}

#: What a user's first program would do, without a network.
SMOKE = """
import wirecore, wirecore_trio
from wirecore._backend import default
frame = default.frames.encode_message("hello", masked=True)
limits = {"max_frame_size": 100, "max_message_size": 100}
decoder = default.frames.MessageDecoder(client=False, **limits)
assert decoder.receive(frame) == ["hello"], decoder
assert default.mask.apply_mask(b"ping", b"abcd") != b"ping"
print("smoke test passed on", wirecore.BACKEND)
"""


def compiled(workshop: Workshop) -> Path:
    return workshop.wheel(WIRECORE_BUILD="require")


def pure(workshop: Workshop) -> Path:
    return workshop.wheel(WIRECORE_BUILD="pure")


def failing_compiler(workshop: Workshop) -> Path:
    return workshop.wheel(CC="/bin/false")


def no_compiler(workshop: Workshop) -> Path:
    return workshop.wheel(PATH=str(workshop.folder("no-programs")))


def no_cython(workshop: Workshop) -> Path:
    builder = workshop.environment()
    builder.pip("install", "--quiet", "setuptools>=77.0.3")
    return workshop.wheel("--no-build-isolation", builder=builder.python)


Build = Callable[["Workshop"], Path]
build_once: Callable[[Build, Workshop], Path] = cache(lambda build, workshop: build(workshop))

needs_cc = pytest.mark.skipif(os.name == "nt", reason="CC and PATH don't choose MSVC")

#: How a wheel is built, the backend it has then, and what it says of why.
KINDS = [
    pytest.param(compiled, "c", "the compiled modules are installed", id="compiled"),
    pytest.param(pure, "py", "on purpose (built with WIRECORE_BUILD=pure)", id="pure"),
    pytest.param(
        failing_compiler,
        "py",
        "'false' failed with exit code 1",
        id="failing-compiler",
        marks=needs_cc,
    ),
    pytest.param(no_compiler, "py", " was not found", id="no-compiler", marks=needs_cc),
    pytest.param(no_cython, "py", "Cython is not installed", id="no-cython"),
]


@pytest.mark.parametrize(("build", "backend", "why"), KINDS)
def test_tag_and_content_agree(workshop: Workshop, build: Build, backend: str, why: str) -> None:
    wheel = build_once(build, workshop)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(n).decode() for n in names if n.endswith("/WHEEL"))
        scripts = next(archive.read(n).decode() for n in names if n.endswith("/entry_points.txt"))
        everything = b"".join(archive.read(name) for name in names)
    binaries = {name for name in names if name.endswith((".so", ".pyd"))}
    if backend == "c":
        assert binaries == COMPILED
        assert "Root-Is-Purelib: false" in metadata
        assert not wheel.name.endswith("-any.whl")
    else:
        assert binaries == set()
        assert "Root-Is-Purelib: true" in metadata
        assert wheel.name.endswith("-py3-none-any.whl")
    assert not {name for name in names if name.endswith((".c", ".pyx", ".pxd"))}
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert {f"{top}/py.typed" for top in tops} <= names
    assert {"wirecore_browser/webwire.js", "wirecore_browser/webwire.d.ts"} <= names
    page = {f"wirecore_trio/rest/gateway/page/live.{kind}" for kind in ("html", "css", "js", "svg")}
    assert page <= names
    assert "protoc-gen-wsrpc_python = wirecore_codegen.__main__:main" in scripts
    for path in (workshop.root, workshop.sdist.parents[1], Path(sys.base_prefix), Path.home()):
        if len(path.parts) > 2:  # "/usr" and "/root" stand in documents, too
            assert str(path).encode() not in everything, "a path of this machine is in the wheel"


@pytest.mark.parametrize(("build", "backend", "why"), KINDS)
def test_it_installs_and_runs(workshop: Workshop, build: Build, backend: str, why: str) -> None:
    installed = workshop.install(build_once(build, workshop))
    told = installed.run("-m", "wirecore")
    assert f"backend      {backend}\n" in told
    assert why in told
    assert f"passed on {backend}" in installed.run("-c", SMOKE)
    assert "passed on py" in installed.run("-c", SMOKE, WIRECORE_BACKEND="py")
    if backend == "py":
        with pytest.raises(AssertionError, match="the compiled backend was asked for, but "):
            installed.run("-m", "wirecore", WIRECORE_BACKEND="c")


@needs_cc
def test_a_required_build_that_fails_is_an_error(workshop: Workshop) -> None:
    with pytest.raises(
        AssertionError, match="WIRECORE_BUILD=require, but 'false' failed with exit code 1"
    ):
        workshop.wheel(WIRECORE_BUILD="require", CC="/bin/false")


def test_an_unknown_mode_is_an_error(workshop: Workshop) -> None:
    with pytest.raises(AssertionError, match="WIRECORE_BUILD is 'maybe', but must be one of"):
        workshop.wheel(WIRECORE_BUILD="maybe")


def test_two_builds_make_the_same_modules(workshop: Workshop) -> None:
    """pip unpacks and compiles in a folder of its own each time: no trace of it may stay."""
    checksums = []
    for wheel in (build_once(compiled, workshop), compiled(workshop)):
        with zipfile.ZipFile(wheel) as archive:
            checksums.append({name: archive.getinfo(name).CRC for name in COMPILED})
    assert checksums[0] == checksums[1]


def test_the_plugin_of_protoc_is_installed_with_it(workshop: Workshop) -> None:
    """Also without protobuf, which it asks for when it is used."""
    installed = workshop.install(build_once(pure, workshop))
    suffix = ".exe" if os.name == "nt" else ""
    assert installed.python.with_name(f"protoc-gen-wsrpc_python{suffix}").is_file()
    told = installed.run("-m", "wirecore_codegen", "--version")
    assert told.startswith("protoc-gen-wsrpc_python ")
    with pytest.raises(AssertionError, match=r"pip install 'wirecore\[codegen\]'"):
        installed.run("-m", "wirecore_codegen")
    with pytest.raises(AssertionError, match=r"pip install 'wirecore\[grpc\]'"):
        installed.run("-c", "import wirecore_grpc")


def test_the_command_comes_with_its_extra(workshop: Workshop) -> None:
    """And plays its demo, with no checkout anywhere."""
    wheel = build_once(pure, workshop)
    installed = workshop.install(wheel)
    with pytest.raises(AssertionError, match=r"click and rich: pip install 'wirecore\[cli\]'\n$"):
        installed.script("wirecore", "--help")
    installed.pip("install", "--quiet", f"{wheel}[cli]")
    assert "extra        cli: installed\n" in installed.script("wirecore", "info")
    story = installed.script("wirecore", "demo", "--seconds", "1")
    assert story.endswith("\n  everything went as it should\n")
