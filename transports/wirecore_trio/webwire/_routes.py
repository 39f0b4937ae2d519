"""Routes: which handler takes the requests or signals of which name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from wirecore._backend import default
from wirecore.errors import InvalidOption
from wirecore.webwire_rules import FIRST_PRINTABLE, LAST_PRINTABLE, MAX_NAME

from .._arguments import require_callable, require_type, yields
from .._handlers import mode_of
from ._codecs import Codec, require_codec

if TYPE_CHECKING:
    from wirecore_py.webwire_order import Route, RouteTable
else:
    Route = default.webwire_order.Route
    RouteTable = default.webwire_order.RouteTable

#: What a handler is: it takes the message, and may be async.
Handler: TypeAlias = Callable[..., Any]
H = TypeVar("H", bound=Handler)

#: Gives a handler to a route.
Decorator: TypeAlias = Callable[[H], H]


class Routes(RouteTable):
    """Handlers by name, and one for all other names."""

    __slots__ = ("_decorator", "_what")

    def __init__(self, what: str, decorator: str = "") -> None:
        super().__init__()
        self._what = what
        self._decorator = decorator or what

    def find(self, name: str) -> Route | None:
        """Who takes what is called *name*; None for nobody."""
        return self.by_name.get(name) or self.rest

    def add(
        self,
        name: str | None,
        codec: Codec[Any] | None,
        reply: Codec[Any] | None,
        inline: bool,
    ) -> Decorator[H]:
        """What a decorator of the public API returns. *name*: None for all that have no route.

        Raises InvalidOption for a name that is taken or can't be sent, TypeError for what is
        none. The decorator raises TypeError for what can't be called with a message.
        """
        if name is not None:
            self._check_name(name)
        require_codec("codec", codec)
        require_codec("reply", reply)
        what = f"the {self._what} {name!r}" if name is not None else f"any other {self._what}"
        if name in self.by_name or (name is None and self.rest is not None):
            raise InvalidOption(f"{what} has a handler already")

        def decorate(handler: H) -> H:
            if yields(handler):
                raise TypeError(
                    f"the handler of {what} has a yield: it returns once; to send more, it signals"
                )
            require_callable(f"the handler of {what}", handler, "message")
            route = Route(handler, mode_of(what, handler, inline=inline), codec, reply)
            if name is None:
                self.rest = route
            else:
                self.by_name[name] = route
            return handler

        return decorate

    def _check_name(self, name: object) -> None:
        hint = f'with parentheses: @….{self._decorator}("name"), or @….{self._decorator}()'
        require_type("name", name, str, hint=hint)
        assert isinstance(name, str)
        if len(name) > MAX_NAME or not all(
            FIRST_PRINTABLE <= ord(mark) <= LAST_PRINTABLE for mark in name
        ):
            raise InvalidOption(f"a name has at most {MAX_NAME} printable ASCII characters")
