"""What an object serves: what is marked, by its names in Go and in Python, with gob's types."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from wirecore import gob
from wirecore.errors import InvalidGobType, InvalidJsonType, InvalidOption
from wirecore.protocols.pool.gob import InvalidRequest
from wirecore_trio import pool
from wirecore_trio._handlers import Mode
from wirecore_trio.pool._registry import Registry
from wirecore_trio.pool._service import Method, go_name

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Pair:
    key: str = ""
    value: str = ""


class Backend:
    @pool.exported
    def get(self, key: str) -> str:
        return f"value of {key}"

    @pool.exported
    async def put_all(self, pairs: list[Pair]) -> bool:
        return True

    @pool.exported(inline=True)
    def count(self) -> Annotated[int, gob.UINT32]:
        return 7

    @pool.exported(name="Touch")
    def update_time(self, key: str) -> None:
        """Answers nothing."""

    @pool.exported
    def echo(self, value):  # type: ignore[no-untyped-def]  # so that anything goes
        return value

    def secret(self, key: str) -> str:
        return "never called from outside"


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.register(Backend())
    return made


def found(registry: Registry, name: str) -> Method:
    method = registry.find(name)
    assert isinstance(method, Method), method
    return method


# --- what is served, and by which names ---


def test_marked_methods_are_served_by_gos_name_and_by_pythons(registry: Registry) -> None:
    method = found(registry, "Backend.PutAll")
    assert found(registry, "Backend.put_all") is method
    assert method.name == "Backend.PutAll"
    assert (method.argument, method.result) == (list[Pair], bool)
    assert found(registry, "Backend.Get").handler("a") == "value of a"


def test_what_isnt_served_is_told_in_gos_words(registry: Registry) -> None:
    for _ in range(2):
        assert registry.find("Backend.secret") == "rpc: can't find method Backend.secret"
        assert registry.find("Backend.Secret") == "rpc: can't find method Backend.Secret"
        assert registry.find("backend.Get") == "rpc: can't find service backend.Get"
        assert registry.find("a.Backend.Get") == "rpc: can't find service a.Backend.Get"
        assert registry.find("Get") == "rpc: service/method request ill-formed: Get"
        assert registry.find("Backend.__init__") == "rpc: can't find method Backend.__init__"
    registry.handle("Backend.Secret", str)  # what was asked for in vain can be added later
    assert found(registry, "Backend.Secret").handler(1) == "1"


def test_how_a_method_runs(registry: Registry) -> None:
    modes = {name: found(registry, f"Backend.{name}").mode for name in ("Get", "PutAll", "Count")}
    assert modes == {"Get": Mode.THREAD, "PutAll": Mode.TASK, "Count": Mode.INLINE}


def test_a_name_that_was_given_is_the_only_one(registry: Registry) -> None:
    assert found(registry, "Backend.Touch").result is InvalidRequest  # Go's struct{}
    for name in ("UpdateTime", "update_time", "touch"):
        assert registry.find(f"Backend.{name}") == f"rpc: can't find method Backend.{name}"


def test_what_annotations_dont_say_is_anything(registry: Registry) -> None:
    echo, count = found(registry, "Backend.Echo"), found(registry, "Backend.Count")
    assert (echo.argument, echo.result) == (Any, Any)
    assert (count.argument, count.result) == (Any, Annotated[int, gob.UINT32])
    assert count.handler("ignored") == 7


@pytest.mark.parametrize(
    ("python", "go"),
    [
        ("get", "Get"),
        ("get_all_items", "GetAllItems"),
        ("getAll", "GetAll"),
        ("get_url", "GetUrl"),
        ("get_URL", "GetURL"),
        ("Get", "Get"),
        ("import_", "Import"),
        ("part_2b", "Part2b"),
        ("österreich", "Österreich"),
    ],
)
def test_names_in_go(python: str, go: str) -> None:
    assert go_name(python) == go


def test_a_service_may_have_another_name() -> None:
    registry = Registry()
    registry.register(Backend(), "Database")
    registry.register(Backend(), name="Cache")
    assert found(registry, "Database.get").name == "Database.Get"
    assert found(registry, "Cache.Get").name == "Cache.Get"
    assert registry.find("Backend.Get") == "rpc: can't find service Backend.Get"


# --- classes in all their forms ---


class Forms:
    @pool.exported
    @staticmethod
    def static_above(text: str) -> str:
        return f"static {text}"

    @staticmethod
    @pool.exported
    def static_below(text: str) -> str:
        return f"static {text}"

    @pool.exported
    @classmethod
    def class_above(cls, text: str) -> str:
        return f"{cls.__name__} {text}"

    @classmethod
    @pool.exported
    def class_below(cls, text: str) -> str:
        return f"{cls.__name__} {text}"

    @pool.exported
    @functools.lru_cache  # noqa: B019  # no more than an example
    def cached(self, text: str) -> str:
        return f"cached {text}"

    @pool.exported
    def with_defaults(self, text: str, times: int = 2, *, end: str = "!") -> str:
        return text * times + end


class Derived(Forms):
    def cached(self, text: str) -> str:  # type: ignore[override]  # an lru_cache before
        return f"overridden {text}"

    with_defaults = None  # type: ignore[assignment]


def test_methods_of_all_kinds_are_served() -> None:
    registry = Registry()
    registry.register(Forms())
    for name, expected in (
        ("StaticAbove", "static a"),
        ("StaticBelow", "static a"),
        ("ClassAbove", "Forms a"),
        ("ClassBelow", "Forms a"),
        ("Cached", "cached a"),
        ("WithDefaults", "aa!"),
    ):
        method = found(registry, f"Forms.{name}")
        assert (method.argument, method.result) == (str, str), name
        assert method.handler("a") == expected


def test_a_mark_is_inherited_by_who_overrides_unless_by_none() -> None:
    registry = Registry()
    registry.register(Derived())
    assert found(registry, "Derived.ClassAbove").handler("a") == "Derived a"
    assert found(registry, "Derived.Cached").handler("a") == "overridden a"
    text = "rpc: can't find method Derived.WithDefaults"
    assert registry.find("Derived.WithDefaults") == text


# --- modules and functions ---


def make_module(name: str, **attributes: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    return module


def list_users(prefix: str) -> list[str]:
    return [f"{prefix}1"]


@pool.exported(name="Drop", inline=True)
def delete_user(user: str) -> bool:
    return True


def test_a_module_serves_the_functions_of_its_all() -> None:
    module = make_module(
        "app.user_store",
        __all__=["Pair", "LIMIT", "list_users", "delete_user", "sqrt"],
        Pair=Pair,
        LIMIT=5,
        list_users=list_users,
        delete_user=delete_user,
        sqrt=math.sqrt,
        helper=go_name,
    )
    registry = Registry()
    registry.register(module)
    assert found(registry, "UserStore.ListUsers") is found(registry, "UserStore.list_users")
    assert found(registry, "UserStore.Drop").mode is Mode.INLINE  # a mark says what it says
    assert found(registry, "UserStore.Sqrt").handler(9.0) == 3.0
    for name in ("Pair", "LIMIT", "helper", "Helper", "delete_user"):
        assert registry.find(f"UserStore.{name}") == f"rpc: can't find method UserStore.{name}"


@pytest.mark.parametrize(
    ("attributes", "error", "text"),
    [
        ({"go": go_name}, InvalidOption, "the module app.users has no __all__, which says what"),
        ({"__all__": ["Pair"], "Pair": Pair}, InvalidOption, "its __all__ names no function"),
        ({"__all__": ["gone"]}, InvalidOption, "has no 'gone', which its __all__ names"),
        ({"__all__": "go"}, TypeError, "__all__ of the module app.users must be a list of str"),
        ({"__all__": ["_go"], "_go": go_name}, InvalidOption, "app.users._go is private"),
    ],
)
def test_a_module_that_doesnt_say_what_it_serves_is_refused(
    attributes: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Registry().register(make_module("app.users", **attributes))


class Reader:
    async def __call__(self, key: str) -> bytes:
        return key.encode()


def test_functions_and_what_is_called_like_one_are_served_by_one_name(registry: Registry) -> None:
    registry.handle("Backend.List", list_users, inline=True)
    registry.handle("Files.read", Reader())
    registry.handle("Files.join", functools.partial("-".join))
    assert found(registry, "Backend.List").mode is Mode.INLINE
    assert found(registry, "Backend.List").argument is str
    read = found(registry, "Files.read")
    assert (read.mode, read.argument, read.result) == (Mode.TASK, str, bytes)
    assert found(registry, "Files.join").handler(["a", "b"]) == "a-b"
    assert registry.find("Files.Read") == "rpc: can't find method Files.Read"


def test_handlers_may_come_before_the_service_that_they_add_to() -> None:
    registry = Registry()
    registry.handle("Backend.Extra", list_users)
    registry.register(Backend())
    assert found(registry, "Backend.Extra") is not found(registry, "Backend.Get")


# --- what is refused ---


class SameInGo:
    @pool.exported
    def get_all(self) -> int:
        return 1

    @pool.exported
    def getAll(self) -> int:  # noqa: N802  # that is what it is about
        return 2


class Private:
    @pool.exported
    def _get(self) -> int:
        return 1


class NothingMarked:
    def get(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("service", "error", "text"),
    [
        (Backend, TypeError, r"Backend is a class: register an instance, as Backend\(\)"),
        (NothingMarked(), InvalidOption, "none of its methods is marked by @pool.exported"),
        (list_users, TypeError, r'a function has no methods: handle\("Service.Method", …\)'),
        (SameInGo(), InvalidOption, "SameInGo.getAll and SameInGo.get_all both .*SameInGo.GetAll"),
        (Private(), InvalidOption, "Private._get is private by its name: give it one"),
    ],
)
def test_objects_that_are_no_services(service: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Registry().register(service)


def test_two_services_cant_have_one_name(registry: Registry) -> None:
    with pytest.raises(InvalidOption, match="a service 'Backend' is registered already"):
        registry.register(Backend())
    with pytest.raises(InvalidOption, match="a service needs a name"):
        registry.register(Backend(), "")
    with pytest.raises(InvalidOption, match=r"'Backend\.get' and Backend\.get both are called"):
        registry.handle("Backend.get", list_users)


@pytest.mark.parametrize("name", ["", "Get", ".Get", "Backend."])
def test_a_handler_needs_the_name_of_a_service_and_of_a_method(name: str) -> None:
    with pytest.raises(InvalidOption):
        Registry().handle(name, list_users)


class WrongCalls:
    """One method each that can't be called with one argument."""

    class Two:
        @pool.exported
        def put(self, key: str, value: str) -> None: ...

    class Many:
        @pool.exported
        def put(self, *keys: str) -> None: ...

    class Keywords:
        @pool.exported
        def put(self, **keys: str) -> None: ...

    class Keyword:
        @pool.exported
        def put(self, key: str, *, value: str) -> None: ...

    class NoSelf:
        @pool.exported
        def put() -> None: ...  # type: ignore[misc]

    class Yields:
        @pool.exported
        def put(self, key: str) -> Iterator[str]:
            yield key

    class YieldsAsync:
        @pool.exported
        async def put(self, key: str) -> AsyncIterator[str]:
            yield key

    class NotCallable:
        put = 1


@pytest.mark.parametrize(
    ("service", "text"),
    [
        (WrongCalls.Two(), "Two.put needs 'key' and 'value': .* several are the fields of a data"),
        (WrongCalls.Many(), r"Many.put takes \*keys: .*: it is called with one argument, or none"),
        (WrongCalls.Keywords(), r"Keywords.put takes \*\*keys: "),
        (WrongCalls.Keyword(), "Keyword.put needs the keyword 'value'"),
        (WrongCalls.NoSelf(), "NoSelf.put lacks self"),
        (WrongCalls.Yields(), "Yields.put has a yield: a call has one reply, which is returned"),
        (WrongCalls.YieldsAsync(), "YieldsAsync.put has a yield"),
    ],
)
def test_methods_that_cant_be_called_with_one_argument(service: object, text: str) -> None:
    registry = Registry()
    with pytest.raises(TypeError, match=text):
        registry.register(service)
    name = f"{type(service).__name__}.Put"
    assert registry.find(name) == f"rpc: can't find service {name}"  # all or nothing


def test_what_isnt_callable_or_cant_be_inline() -> None:
    with pytest.raises(TypeError, match=r"the handler of 'A\.B' must be callable, not int"):
        Registry().handle("A.B", 1)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match=r"the handler of 'A\.B' is async: inline is for plain"):
        Registry().handle("A.B", Reader(), inline=True)


class WrongTypes:
    class Argument:
        @pool.exported
        def put(self, pair: set[str]) -> None: ...

    class Result:
        @pool.exported
        def get(self, key: str) -> int | str:
            return 1

    class Unknown:
        @pool.exported
        def get(self, key: Decimal) -> str:
            return ""

    class Complex:
        @pool.exported
        def turn(self, by: complex) -> str:
            return ""

        @pool.exported
        def get(self) -> dict[float, str]:
            return {}


@pytest.mark.parametrize(
    ("service", "text"),
    [
        (WrongTypes.Argument(), "Argument.put, parameter 'pair': .*has no counterpart in gob"),
        (WrongTypes.Result(), "Result.get, return type: .*gob has no unions"),
        (WrongTypes.Unknown(), "Unknown.get has an annotation that can't be resolved.*'Decimal'"),
    ],
)
def test_types_that_gob_lacks_are_refused_where_they_are_registered(
    service: object, text: str
) -> None:
    with pytest.raises(InvalidGobType, match=text):
        Registry().register(service)


def test_types_that_json_lacks_are_refused_where_json_is_spoken(registry: Registry) -> None:
    registry.require_json()  # what is there so far has no such type
    with pytest.raises(InvalidJsonType, match=r"Complex\.turn, its argument: .*complex128"):
        registry.register(WrongTypes.Complex())
    speaks_gob = Registry()
    speaks_gob.register(WrongTypes.Complex())
    with pytest.raises(InvalidJsonType, match=r"Complex\.turn, its argument"):
        speaks_gob.require_json()
    speaks_gob.handle("A.B", lambda: 1j)  # and nothing has changed


def test_the_decorator_marks_functions_and_nothing_else() -> None:
    with pytest.raises(TypeError, match=r'not str: a name is said as exported\(name="…"\)'):
        pool.exported("Get")
    with pytest.raises(TypeError, match="not the class Pair"):
        pool.exported(Pair)
    with pytest.raises(TypeError, match="exported can't mark builtin_function_or_method"):
        pool.exported(len)
    with pytest.raises(TypeError, match="inline must be bool"):
        pool.exported(inline=1)  # type: ignore[call-overload]
    for name in ("", "Backend.Get"):
        with pytest.raises(InvalidOption, match="a method's name is what follows the last dot"):
            pool.exported(name=name)


def test_a_mark_survives_a_decorator_that_wraps() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    class Wrapped:
        @logged
        @pool.exported
        def get(self, key: str) -> str:
            return key

    registry = Registry()
    registry.register(Wrapped())
    assert found(registry, "Wrapped.Get").argument is str
