"""Docstrings as they are written become Markdown: roles, code, words above attributes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.site

EXTENSION = Path(__file__).parents[2] / "ci" / "site" / "docstrings.py"


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    """The extension, loaded as griffe loads it."""
    spec = importlib.util.spec_from_file_location("site_docstrings", EXTENSION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def path_of(name: str) -> str:
    return {"send": "package.Socket.send"}.get(name, name)


@pytest.mark.parametrize(
    ("written", "shown", "leads_to"),
    [
        (":meth:`send`", "send", "package.Socket.send"),
        (":class:`~wirecore.errors.RpcError`", "RpcError", "wirecore.errors.RpcError"),
        (":mod:`wirecore_asgi.uvicorn`", "wirecore_asgi.uvicorn", "wirecore_asgi.uvicorn"),
    ],
)
def test_a_role_becomes_a_reference(
    extension: ModuleType, written: str, shown: str, leads_to: str
) -> None:
    reference = f'<autoref identifier="{leads_to}" optional>`{shown}`</autoref>'
    text = extension.to_markdown(f"See {written}, or don't.", path_of)
    assert text == f"See {reference}, or don't."


def test_what_is_no_role_stays(extension: ModuleType) -> None:
    text = "Port ``:8080``, *name*: a word; `plain` too::"
    assert extension.to_markdown(text, path_of) == text


def test_code_behind_a_double_colon_is_fenced(extension: ModuleType) -> None:
    text = "The client::\n\n    async with connect() as ws:\n        pass\n\nThe end."
    assert extension.to_markdown(text, path_of) == (
        "The client:\n\n```python\nasync with connect() as ws:\n    pass\n```\n\nThe end."
    )


def test_what_is_no_python_is_shown_as_text(extension: ModuleType) -> None:
    text = "Run it.\n\n::\n\n    uvicorn --ws a:B app:app\n"
    assert extension.to_markdown(text, path_of) == (
        "Run it.\n\n\n\n```text\nuvicorn --ws a:B app:app\n```\n\n"
    )


def test_words_above_an_attribute_are_its_own(extension: ModuleType) -> None:
    lines = ["# a reason", "#: Seconds from ping", "#: to ping.", "PING_INTERVAL = 18.0", "X = 1"]
    assert extension.comment_above(lines, 4) == "Seconds from ping\nto ping."
    assert extension.comment_above(lines, 5) == ""
    assert extension.comment_above(lines, 1) == ""


def test_words_above_a_group_of_constants_are_those_of_each(extension: ModuleType) -> None:
    lines = ["#: In seconds.", "ONE: Final = 1.0", "TWO: Final = 2.0", "", "SIX: Final = 6.0"]
    words = [extension.comment_above(lines, line) for line in (2, 3, 5)]
    assert words == ["In seconds.", "In seconds.", ""]


def test_names_are_looked_up_where_they_stand(extension: ModuleType, tmp_path: Path) -> None:
    griffe = pytest.importorskip("griffe")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "__init__.py").write_text(
        '"""Has :class:`Socket`."""\n'
        "class Base:\n"
        "    def close(self):\n"
        '        """Close."""\n'
        "class Socket(Base):\n"
        "    def send(self):\n"
        '        """Not after :meth:`close`; as :func:`other`, :class:`Socket`, :meth:`gone`."""\n'
        "#: How :func:`other` likes it.\n"
        "LEVEL = 1\n"
        "def other():\n"
        '    """Nothing."""\n'
    )
    package = griffe.load(
        "made",
        search_paths=[tmp_path],
        extensions=griffe.load_extensions(str(EXTENSION)),
        allow_inspection=False,
    )
    assert 'identifier="made.Socket"' in package.docstring.value
    send = package["Socket.send"].docstring.value
    assert 'identifier="made.Base.close"' in send
    assert 'identifier="made.other"' in send
    assert 'identifier="made.Socket"' in send
    assert 'identifier="gone"' in send
    assert package["LEVEL"].docstring.value.startswith('How <autoref identifier="made.other"')
