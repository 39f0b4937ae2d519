"""The choice between the compiled modules and their pure twins: loud, and made in one place."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wirecore import _backend
from wirecore._backend import Backend


@pytest.fixture
def without_compiled_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which the compiled modules can't be imported, and nothing is remembered."""
    monkeypatch.setitem(sys.modules, "wirecore._mask", None)
    for name in ("why_not_compiled", "load"):
        monkeypatch.setattr(_backend, name, getattr(_backend, name).__wrapped__)


def import_wirecore(wanted: str) -> subprocess.CompletedProcess[str]:
    """Imports wirecore in a fresh process whose WIRECORE_BACKEND is *wanted*."""
    return subprocess.run(
        [sys.executable, "-P", "-c", "import wirecore; print(wirecore.BACKEND_REASON)"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"WIRECORE_BACKEND": wanted},
    )


def test_a_backend_loads_its_modules_when_they_are_asked_for(backend: Backend) -> None:
    prefix = "wirecore._" if backend.name == "c" else "wirecore_py."
    for name in _backend.MODULES:
        assert getattr(backend, name).__name__ == prefix + name
    assert repr(backend) == f"<wirecore backend {backend.name!r}>"


def test_a_backend_has_no_other_attributes() -> None:
    unknown = "socket"
    with pytest.raises(AttributeError, match="socket"):
        getattr(_backend.load("py"), unknown)


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRECORE_BACKEND", "py")
    chosen, reason = _backend.choose()
    assert (chosen.name, reason) == ("py", "WIRECORE_BACKEND=py")


@pytest.mark.usefixtures("backends")
def test_the_compiled_modules_are_taken_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WIRECORE_BACKEND", raising=False)
    chosen, reason = _backend.choose()
    assert (chosen.name, reason) == ("c", "the compiled modules are installed")


@pytest.mark.usefixtures("without_compiled_modules")
def test_without_compiled_modules_the_reason_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WIRECORE_BACKEND", raising=False)
    chosen, reason = _backend.choose()
    assert chosen.name == "py"
    assert "wirecore._mask" in reason


@pytest.mark.usefixtures("without_compiled_modules")
def test_asking_for_compiled_modules_that_are_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WIRECORE_BACKEND", "c")
    with pytest.raises(ImportError, match="the compiled backend was asked for, but "):
        _backend.choose()


def test_a_backend_of_another_name_is_an_error_at_import() -> None:
    done = import_wirecore("rust")
    assert done.returncode == 1
    assert "a backend is 'c' or 'py', not 'rust' (is WIRECORE_BACKEND right?)" in done.stderr


def test_what_the_environment_asks_for_is_the_reason() -> None:
    done = import_wirecore("py")
    assert (done.returncode, done.stdout) == (0, "WIRECORE_BACKEND=py\n")
