"""``MODULE:SERVICE``: what it may name, and what is said of everything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wirecore_cli.failures import Failure
from wirecore_cli.services import load_services, register
from wirecore_trio import tls, wsrpc

SHOP = """
from wirecore_cli.example import Ping

class Shop(Ping):
    pass

class Sized(Ping):
    def __init__(self, size):
        self.size = size

class Closed:
    pass

class Inner:
    service = Ping()

shop = Shop()
handlers = {"Same": lambda data, peer: data}
bad_handlers = {"Same": 1}
number = 3

def make():
    return Sized(1)

def make_handlers():
    return handlers

def make_nothing():
    pass

def make_with(name):
    pass

def make_trouble():
    raise RuntimeError("no stock")

async def make_later():
    return Shop()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module, which is forgotten after the test."""
    (tmp_path / "shop_of_tests.py").write_text(SHOP)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shop_of_tests", raising=False)
    return tmp_path


def served(folder: Path, *names: str) -> list[str]:
    """The methods that a server has after all *names* were given to it."""
    key = tls.generate_private_key()
    server = wsrpc.Server(wsrpc.ServerCredentials(key, []))
    return [
        method
        for reference, service in load_services([f"shop_of_tests:{name}" for name in names], folder)
        for method in register(server, reference, service, inline=False)
    ]


@pytest.mark.parametrize("name", ["Shop", "shop", "make", "Inner.service"])
def test_a_class_an_object_and_a_factory(folder: Path, name: str) -> None:
    assert served(folder, name) == ["Ping"]


@pytest.mark.parametrize("name", ["handlers", "make_handlers"])
def test_functions_on_bytes_by_their_names(folder: Path, name: str) -> None:
    assert served(folder, name) == ["Same"]


def test_a_file_in_a_modules_place(folder: Path) -> None:
    """Its neighbours are found, and a module of its name stays what it is."""
    other = folder / "elsewhere"
    other.mkdir()
    (other / "neighbour.py").write_text(SHOP)
    (other / "json.py").write_text("from neighbour import shop\n")
    known = set(sys.modules)
    try:
        ((_, service),) = load_services([f"{other / 'json.py'}:shop"], folder)
    finally:
        for name in set(sys.modules) - known:
            del sys.modules[name]
    assert [*service.wsrpc_methods] == ["Ping"]
    assert hasattr(sys.modules["json"], "loads")


def test_several_at_once(folder: Path) -> None:
    assert served(folder, "shop", "handlers") == ["Ping", "Same"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Shopp", "shop_of_tests has no 'Shopp': did you mean Shop or shop?"),
        ("Inner.servic", "shop_of_tests.Inner has no 'servic': did you mean service?"),
        ("zzz", "shop_of_tests has no 'zzz'"),
        ("number", "shop_of_tests:number is int, which is no service: it has no wsrpc_methods"),
        ("Closed", "shop_of_tests:Closed makes Closed, which is no service"),
        ("make_nothing", "shop_of_tests:make_nothing makes NoneType, which is no service"),
        ("Sized", "Sized can't be called without arguments (missing a required argument: 'size')"),
        ("make_with", "make_with can't be called without arguments"),
        ("make_trouble", "calling shop_of_tests:make_trouble failed: RuntimeError: no stock"),
        ("make_later", "make_later is async: what makes a service is a plain function"),
        ("bad_handlers", "shop_of_tests:bad_handlers: the handler of 'Same' must be callable"),
    ],
)
def test_what_is_no_service(folder: Path, name: str, says: str) -> None:
    with pytest.raises(Failure) as caught:
        served(folder, name)
    assert says in str(caught.value)
    assert caught.value.status == 2


def test_two_services_with_the_same_method(folder: Path) -> None:
    with pytest.raises(Failure, match="shop_of_tests:make: the method 'Ping' is served already"):
        served(folder, "shop", "make")


@pytest.mark.parametrize("reference", ["shop", "shop:", ":Shop", ""])
def test_what_is_no_reference(folder: Path, reference: str) -> None:
    with pytest.raises(Failure, match="a service is MODULE:SERVICE, as shop:Shop, not "):
        [*load_services([reference], folder)]


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("shop_of_test", r"no module 'shop_of_test', neither in .+: did you mean shop_of_tests\?$"),
        ("zzz.shop", r"no module 'zzz', neither in .+: --app-dir names another folder$"),
        ("wirecore_cli.zzz", "there is no module 'wirecore_cli.zzz'"),
        ("./zzz.py", "there is no file zzz.py"),
        ("lacking", "importing lacking failed: ModuleNotFoundError: No module named 'zzz'"),
        ("broken", r"importing broken failed: SyntaxError: .+\(broken.py, line 2\)"),
        ("raising", "importing raising failed: KeyError: 'PRICE'"),
    ],
)
def test_a_module_that_cant_be_imported(folder: Path, module: str, says: str) -> None:
    (folder / "lacking.py").write_text("import zzz\n")
    (folder / "broken.py").write_text("\nclass:\n")
    (folder / "raising.py").write_text("{}['PRICE']\n")
    with pytest.raises(Failure, match=says):
        [*load_services([f"{module}:Shop"], folder)]
