"""Paths of a pool: which of them a request means, and where it is sent instead."""

from __future__ import annotations

import pytest

from wirecore_trio.pool._paths import Paths


def bound(*paths: str) -> Paths[str]:
    found: Paths[str] = Paths()
    for path in paths:
        found.add(path, path)
    return found


@pytest.mark.parametrize(
    ("path", "means"),
    [
        ("/pool", "/pool"),
        ("/%70oo%6C", "/pool"),
        ("/x/below", "/x/"),
        ("/x/y/below", "/x/y/"),
        ("/a%20b", "/a%20b"),
        ("/pool/", None),
        ("/x%2fbelow", None),
        ("/%", None),
        ("/%zz", None),
    ],
)
def test_a_path_means_what_is_bound(path: str, means: str | None) -> None:
    paths = bound("/pool", "/x/", "/x/y/", "/a%20b")
    assert paths.find(path) == means
    assert means is None or paths.redirect(path) is None


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/x", "/x/"),
        ("//evil.example/x", "/evil.example/x"),
        ("//\\evil.example", "/%5Cevil.example"),
        ("/./\\evil.example/..//", "/"),
        ("/x/%2e%2e/pool", "/pool"),
        ("/x/../../pool", "/pool"),
        ("//a%20b", "/a%20b"),
    ],
)
def test_where_a_request_is_sent_instead(path: str, place: str) -> None:
    paths = bound("/pool", "/x/", "/a%20b")
    assert paths.redirect(path) == place
    assert paths.redirect(path, "q=1&r") == f"{place}?q=1&r"
