"""``wirecore info``: the facts of ``python -m wirecore``, and the extras."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wirecore as library
from wirecore_cli.extras import missing_of_extras

if TYPE_CHECKING:
    from tests.cli.conftest import Wirecore


def test_it_tells_versions_backend_and_extras(wirecore: Wirecore) -> None:
    done = wirecore("info")
    assert (done.status, done.err) == (0, "")
    lines = done.text.splitlines()
    assert lines[0] == f"wirecore     {library.__version__}"
    assert f"backend      {library.BACKEND}" in lines
    for name in ("trio", "cryptography", "wsproto"):
        assert f"{name:13}{metadata.version(name)}" in lines
    assert any(line.startswith("OpenSSL      OpenSSL ") for line in lines)
    assert "extra        cli: installed" in lines


def test_json_says_the_same_to_programs(wirecore: Wirecore) -> None:
    told = json.loads(wirecore("info", "--json").out)
    assert told["wirecore"] == library.__version__
    assert told["trio"] == metadata.version("trio")
    assert told["extras"]["cli"] == []
    assert isinstance(told["also"], list)


def test_what_an_extra_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "wirecore-9.8.7.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: wirecore\nVersion: 9.8.7\n"
        "Requires-Dist: trio>=0.26\n"
        'Requires-Dist: no-such-thing>=1; extra == "codegen"\n'
        "Requires-Dist: python-socks[trio]>=2; sys_platform != 'win32' and extra == 'proxy'\n"
        'Requires-Dist: ruff>=1; extra == "test"\n'
    )
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert missing_of_extras() == {"codegen": ["no-such-thing"], "proxy": ["python-socks"]}


def test_a_bare_source_tree_has_no_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert missing_of_extras() == {}
