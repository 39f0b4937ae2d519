"""The client's files: what they hold is what the Python side and npm say."""

from __future__ import annotations

import json
import re
import tomllib
from enum import IntEnum
from pathlib import Path

import pytest

import wirecore
import wirecore_browser
from tests.browser.test_node import execute
from wirecore import webwire_rules

REPOSITORY = Path(__file__).parents[2]


def package_json() -> dict[str, object]:
    text = (wirecore_browser.folder() / "package.json").read_text()
    package: dict[str, object] = json.loads(text)
    return package


def numbers(module: str, name: str) -> dict[str, int]:
    """The members of the object *name* in a JavaScript module."""
    text = wirecore_browser.files()[module].decode()
    body = re.search(rf"const {name} = \{{(.*?)\}};", text, re.DOTALL)
    assert body is not None
    return {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", body[1])}


def members(kind: type[IntEnum]) -> dict[str, int]:
    return {member.name: member.value for member in kind}


def test_types_and_limits_are_those_of_the_rules() -> None:
    assert numbers("messages.js", "TYPES") == members(webwire_rules.MessageType)
    encodings = {name.upper(): value for name, value in numbers("messages.js", "ENCODINGS").items()}
    assert encodings == members(webwire_rules.Encoding)
    text = wirecore_browser.files()["messages.js"].decode()
    limits = dict(re.findall(r"const ([A-Z_]+) = (\d+);", text))
    for name in ("ID_SIZE", "MAX_NAME", "FIRST_PRINTABLE", "LAST_PRINTABLE"):
        assert int(limits[name]) == getattr(webwire_rules, name)


def test_every_import_is_among_the_files_that_are_served() -> None:
    files = wirecore_browser.files()
    imports = {name for text in files.values() for name in re.findall(rb"from '\./([\w.]+)'", text)}
    assert {name.decode() for name in imports} | {"webwire.js"} == set(files)


def test_files_are_the_callers_own() -> None:
    wirecore_browser.files().clear()
    assert wirecore_browser.files()["webwire.js"].startswith(b"//")


def test_npm_gets_the_same_version_licence_and_files() -> None:
    package = package_json()
    assert package["name"] == "wirecore-webwire"
    assert package["version"] == wirecore.__version__
    assert package["license"] == "MIT"
    assert package["files"] == sorted({*wirecore_browser.files(), "webwire.d.ts"})
    folder = wirecore_browser.folder()
    assert (folder / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()


def test_wheels_hold_what_npm_gets() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["wirecore_browser"]
    folder = wirecore_browser.folder()
    shipped = {path.name for pattern in patterns for path in folder.glob(pattern)}
    others = {"__init__.py", "__pycache__"}
    assert shipped == {path.name for path in folder.iterdir()} - others


def test_npm_would_publish_it(npm: str, tmp_path: Path) -> None:
    cache = f"--cache={tmp_path}"
    packed = execute(npm, "pack", "--dry-run", "--json", cache, folder=wirecore_browser.folder())
    assert packed.returncode == 0, packed.stdout
    report = json.loads(packed.stdout[packed.stdout.index("[") :])[0]
    published = {file["path"] for file in report["files"]}
    assert published == {
        *wirecore_browser.files(),
        "webwire.d.ts",
        "package.json",
        "README.md",
        "LICENSE",
    }


@pytest.mark.parametrize("name", sorted(wirecore_browser.files()))
def test_lines_fit(name: str) -> None:
    lines = wirecore_browser.files()[name].decode().splitlines()
    assert len(lines) <= 500
    assert max(map(len, lines)) <= 100
