"""Builds wirecore: the compiled modules where that is possible, and a record of the outcome.

``WIRECORE_BUILD`` says what has to happen. ``auto``, the default, compiles, and installs the
pure-Python package where compiling fails, with the reason kept in it; ``require`` makes a
failure an error; ``pure`` compiles nothing on purpose. The demo's programs are put into the package
from examples/ping. Everything else about it stands in pyproject.toml.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError, SetupError

MODES = ("auto", "require", "pure")
CYTHON_NEEDED = (3, 3)
PACKAGE = Path("wirecore")
TWINS = Path("wirecore_py")
RECORD = "_build_result.json"

#: Programs that are read and run in the tree, and that `wirecore demo` runs where there is none.
DEMO = Path("examples/ping")
DEMO_PACKAGE = Path("wirecore_cli/ping")


def wanted_mode() -> str:
    mode = os.environ.get("WIRECORE_BUILD") or "auto"
    if mode not in MODES:
        sys.exit(f"error: WIRECORE_BUILD is {mode!r}, but must be one of: {', '.join(MODES)}")
    return mode


def module_names() -> list[str]:
    """The compiled modules, as the chooser of backends lists them: there is one list only."""
    for node in ast.parse((PACKAGE / "_backend.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MODULES" and node.value:
            return [f"_{name}" for name in ast.literal_eval(node.value)]
    sys.exit("error: wirecore/_backend.py has no list called MODULES")


def source_of(name: str) -> Path:
    """What is compiled as wirecore.*name*: a source of its own, else its pure twin as it stands."""
    own = PACKAGE / f"{name}.pyx"
    return own if own.exists() else TWINS / f"{name.removeprefix('_')}.py"


def describe(error: BaseException) -> str:
    """*error* on one line: without a compiler's arguments, every path without its directory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, subprocess.CalledProcessError):
            return f"{Path(cause.cmd[0]).name!r} failed with exit code {cause.returncode}"
        if isinstance(cause, FileNotFoundError) and cause.filename:
            return f"{Path(cause.filename).name!r} was not found"
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"(?:[A-Za-z]:)?[^\s'\"]*[/\\]([^\s'\"/\\]+)", r"\1", text)


class BuildExtensions(build_ext):
    """Compiles all of the modules or leaves none, and records which and why."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            self.parallel = True

    def run(self) -> None:
        mode, reason = wanted_mode(), ""
        if mode != "pure":
            try:
                self._translate()
                super().run()
            except (BaseError, CCompilerError, OSError) as error:
                reason = describe(error)
                if mode == "require":
                    raise SetupError(f"WIRECORE_BUILD=require, but {reason}") from error
                self.warn(f"the compiled modules are left out: {reason}")
        compiled = mode != "pure" and not reason
        self._remove_stale(
            [self.get_ext_filename(e.name) for e in self.extensions] if compiled else []
        )
        if not compiled:
            # From here on this is a pure distribution: the wheel's tag is taken from that.
            self.extensions = []
            self.distribution.ext_modules = None
        self._record({"mode": mode, "compiled": compiled, "reason": reason})

    def _translate(self) -> None:
        """Makes C of the .pyx files, in the build folder: the source tree stays clean."""
        try:
            from Cython.Build import cythonize
            from Cython.Compiler.Errors import CompileError
        except ImportError as error:
            raise SetupError("Cython is not installed") from error
        found = metadata.version("Cython")
        if tuple(int(part) for part in re.findall(r"\d+", found)[:2]) < CYTHON_NEEDED:
            needed = ".".join(map(str, CYTHON_NEEDED))
            raise SetupError(f"Cython {needed} or newer is needed, this is {found}")
        folder = Path(self.build_temp, "cython")
        self._forget_old_types(folder / TWINS)
        try:
            translated = cythonize(
                self.extensions,
                build_dir=str(folder),
                compiler_directives={"language_level": "3"},
            )
        except (CompileError, ValueError) as error:
            raise SetupError(f"Cython could not translate the modules: {error}") from error
        for extension, made in zip(self.extensions, translated, strict=True):
            extension.sources = made.sources

    def _forget_old_types(self, folder: Path) -> None:
        """Has twins compiled anew where types have changed: Cython looks for these beside them."""
        changed = max(types.stat().st_mtime for types in PACKAGE.glob("*.pxd"))
        for made in folder.glob("*.c"):
            if made.stat().st_mtime < changed:
                made.unlink()

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            options = ["/O2"]
        else:
            # No debug information and no absolute path: two builds of one source are the same
            # file wherever they are made.
            options = ["-O3", "-g0", f"-ffile-prefix-map={Path.cwd()}=."]
            inherited = shlex.split(sysconfig.get_config_var("LDSHARED") or "")
            rpaths = {option for option in inherited if option.startswith("-Wl,-rpath")}
            self.compiler.linker_so = [o for o in self.compiler.linker_so if o not in rpaths]
        # What the builder asks for comes last, and so wins.
        options += shlex.split(os.environ.get("CFLAGS", ""))
        for extension in self.extensions:
            extension.extra_compile_args = options
        super().build_extensions()

    def _folders(self) -> list[Path]:
        """Where the package is put together: the build folder, and the tree if in place."""
        return [Path(self.build_lib) / PACKAGE, *([PACKAGE] if self.inplace else [])]

    def _remove_stale(self, wanted: list[str]) -> None:
        """Removes compiled modules of an earlier build which this one did not make."""
        keep = {Path(name).name for name in wanted}
        for folder in self._folders():
            for path in folder.glob(f"_*{sysconfig.get_config_var('EXT_SUFFIX')}"):
                if path.name not in keep:
                    path.unlink()

    def _record(self, outcome: dict[str, object]) -> None:
        """Leaves the outcome in the package, for wirecore/_build.py to read."""
        built_for = sysconfig.get_config_var("SOABI") or sysconfig.get_platform()
        text = json.dumps(outcome | {"built_for": built_for}, indent=1, sort_keys=True)
        for folder in self._folders():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RECORD).write_text(text + "\n", encoding="utf-8")

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), str(Path(self.build_lib, PACKAGE, RECORD))]


class BuildModules(build_py):
    """Adds the demo's programs to what is installed; in the tree they stand once, as examples."""

    def run(self) -> None:
        super().run()
        for target, source in self._demo().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def _demo(self) -> dict[str, str]:
        """Where each program goes, and where it is. Nowhere in place: there is the tree then."""
        if self.editable_mode:
            return {}
        folder = Path(self.build_lib, DEMO_PACKAGE)
        return {str(folder / path.name): str(path) for path in sorted(DEMO.glob("*.py"))}

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._demo()]

    def get_output_mapping(self) -> dict[str, str]:
        return {**super().get_output_mapping(), **self._demo()}


class BuildWheel(bdist_wheel):
    """A wheel whose tag says what it holds: py3-none-any where nothing was compiled."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.python_tag = "py3"

    def run_command(self, command: str) -> None:
        super().run_command(command)
        if command == "build":
            self.root_is_pure = not self.distribution.has_ext_modules()


wanted_mode()
setup(
    ext_modules=[
        Extension(f"wirecore.{name}", [source_of(name).as_posix()]) for name in module_names()
    ],
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildModules, "bdist_wheel": BuildWheel},
)
