"""The client's files: what they hold is what the Python side and npm say."""

from __future__ import annotations

import json
import re
import tomllib
from enum import IntEnum
from pathlib import Path

import wirecore
import wirecore_browser
from tests.browser.test_node import execute
from wirecore import webwire_rules

REPOSITORY = Path(__file__).parents[2]


def package_json() -> dict[str, object]:
    text = (wirecore_browser.folder() / "package.json").read_text()
    package: dict[str, object] = json.loads(text)
    return package


def numbers(name: str) -> dict[str, int]:
    """The members of the object *name* in the module."""
    text = wirecore_browser.module().decode()
    body = re.search(rf"const {name} = \{{(.*?)\}};", text, re.DOTALL)
    assert body is not None
    return {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", body[1])}


def members(kind: type[IntEnum]) -> dict[str, int]:
    return {member.name: member.value for member in kind}


def test_types_and_limits_are_those_of_the_rules() -> None:
    assert numbers("TYPES") == members(webwire_rules.MessageType)
    encodings = {name.upper(): value for name, value in numbers("ENCODINGS").items()}
    assert encodings == members(webwire_rules.Encoding)
    text = wirecore_browser.module().decode()
    limits = dict(re.findall(r"const ([A-Z_]+) = (\d+);", text))
    for name in ("ID_SIZE", "MAX_NAME", "FIRST_PRINTABLE", "LAST_PRINTABLE"):
        assert int(limits[name]) == getattr(webwire_rules, name)


def test_it_is_one_file_that_needs_no_other() -> None:
    module = wirecore_browser.module()
    assert re.findall(rb"\bimport\b|\bfrom '|\brequire\(", module) == []
    assert [path.name for path in wirecore_browser.folder().glob("*.*js")] == ["webwire.js"]
    assert module == (wirecore_browser.folder() / "webwire.js").read_bytes()


def test_the_types_come_with_it() -> None:
    assert b"export declare function connect" in wirecore_browser.types()


def test_npm_gets_the_same_version_licence_and_files() -> None:
    package = package_json()
    assert package["name"] == "wirecore-webwire"
    assert package["version"] == wirecore.__version__
    assert package["license"] == "MIT"
    assert package["files"] == ["webwire.d.ts", "webwire.js"]
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
        "webwire.js",
        "webwire.d.ts",
        "package.json",
        "README.md",
        "LICENSE",
    }


def test_lines_fit() -> None:
    assert max(map(len, wirecore_browser.module().decode().splitlines())) <= 100
