"""The built site: every link leads somewhere, every public name is there, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.site

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"

#: Attributes that have the browser load something as the page is shown.
LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}

#: Links that a browser doesn't follow by itself.
NOT_LOADED = {"canonical", "next", "prev"}


class Page(HTMLParser):
    """What one page links to, loads, and can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.ids.update(filter(None, (found.get("id"), found.get("name") if tag == "a" else None)))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and LOADED[tag] in found and found.get("rel") not in NOT_LOADED:
            self.loaded.append(found[LOADED[tag]])


@cache
def pages() -> dict[Path, Page]:
    """All pages of the site, by their paths."""
    assert SITE.is_dir(), "there is no site yet: ci/docs builds it, and runs these tests"
    found = {path: Page(path) for path in sorted(SITE.rglob("*.html"))}
    assert len(found) > 10
    return found


def target(page: Page, link: str) -> tuple[Path, str]:
    """The file and the fragment that *link* on *page* leads to."""
    parts = urlsplit(link)
    path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    return (path / "index.html" if path.is_dir() else path), unquote(parts.fragment)


def documented_modules() -> list[str]:
    """The modules that the reference has, as its pages name them."""
    sources = sorted((ROOT / "docs" / "reference").glob("*.md"))
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    return re.findall(r"^::: (\S+)$", text, re.MULTILINE)


def public_names(module: str) -> Iterator[str]:
    """What *module* says, when it is imported, that it offers."""
    for name in getattr(import_module(module), "__all__", ()):
        yield f"{module}.{name}"


def test_links_within_the_site_lead_somewhere() -> None:
    lost = []
    for page in pages().values():
        # The page for addresses that don't exist is served at any of them.
        if page.path.name == "404.html":
            continue
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            path, fragment = target(page, link)
            there = path in pages() and fragment in {"", *pages()[path].ids}
            if not there and not (path.is_file() and not fragment):
                lost.append(f"{page.path.relative_to(SITE)}: {link}")
    assert not lost


def test_nothing_is_loaded_from_other_machines() -> None:
    strange = {
        link
        for page in pages().values()
        for link in page.loaded
        if urlsplit(link).scheme not in ("", "data") or link.startswith("//")
    }
    assert not strange


def test_the_reference_has_the_modules_that_users_import() -> None:
    assert {
        "wirecore.dropin.wsproto",
        "wirecore.errors",
        "wirecore.protocols.wsrpc",
        "wirecore.session",
        "wirecore.websocket",
        "wirecore_asgi.uvicorn",
        "wirecore_trio",
        "wirecore_trio.tls",
        "wirecore_trio.websocket",
        "wirecore_trio.wsrpc",
        "wirecore_trio.wsrpc.ping",
    } <= set(documented_modules())


@pytest.mark.parametrize("module", documented_modules())
def test_every_public_name_has_its_place_in_the_reference(module: str) -> None:
    anchors = set().union(*(page.ids for page in pages().values()))
    missing = {module, *public_names(module)} - anchors
    assert not missing


@pytest.mark.parametrize(
    "name",
    [
        "wirecore.errors.CallLost",
        "wirecore_asgi.uvicorn.WebSocketProtocol",
        "wirecore_trio.wsrpc.Client.call",  # its words are those of Caller
        "wirecore_trio.wsrpc.Client.register",  # inherited of a private class
        "wirecore.session.Outbox.put",  # compiled, or not
    ],
)
def test_members_have_their_place_too(name: str) -> None:
    assert any(name in page.ids for page in pages().values())


def test_no_role_is_left_as_it_was_written() -> None:
    left = [
        f"{page.path.relative_to(SITE)}: {found}"
        for page in pages().values()
        for found in re.findall(r":(?:class|meth|func|data|mod):[^ ]+", page.path.read_text())
    ]
    assert not left


def test_what_is_searched_for_is_found_in_the_index() -> None:
    index = (SITE / "search" / "search_index.json").read_text(encoding="utf-8")
    for word in ("maybe_executed", "eager_wait", "wirecore_trio.wsrpc.connect"):
        assert word in index
