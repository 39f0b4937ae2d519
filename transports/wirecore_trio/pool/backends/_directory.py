"""Which node has which providers, and which of them a key keeps to."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

from wirecore.protocols.pool.queues import Name
from wirecore.protocols.pool.queues import Node as Provider
from wirecore.protocols.pool.slots import Slot, Wish
from wirecore.protocols.pool.sticky import Rendezvous

from ._contract import ProviderInfo

logger = logging.getLogger("wirecore.pool.backends")

#: The providers of a node, by path.
Announced = dict[str, tuple[ProviderInfo, ...]]


def dump_announcement(announced: Mapping[str, Sequence[ProviderInfo]]) -> bytes:
    """What other nodes are told."""
    return json.dumps(
        {
            path: [[each.identity, sorted(each.labels), each.capacity] for each in providers]
            for path, providers in announced.items()
        },
        separators=(",", ":"),
    ).encode("ascii")


def load_announcement(data: bytes) -> Announced:
    """What another node has told. Raises ValueError where it is nothing of that kind."""
    found: Announced = {}
    try:
        for path, providers in json.loads(data).items():
            found[path] = tuple(
                ProviderInfo(str(identity), frozenset(map(str, labels)), capacity)
                for identity, labels, capacity in providers
            )
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError("no announcement of a node's") from error
    return found


class Directory:
    """What is known of all nodes; *me*: this one, whose providers it says itself."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._nodes: dict[str, Announced] = {me: {}}
        self._revisions: dict[str, int] = {}
        #: By path, made when a key is asked for, and again when the nodes are others.
        self._keepers: dict[str, Rendezvous] = {}

    @property
    def others(self) -> dict[str, Announced]:
        """The other nodes, and their providers by path."""
        return {node: found for node, found in self._nodes.items() if node != self._me}

    @property
    def mine(self) -> Announced:
        """This node's providers, by path."""
        return self._nodes[self._me]

    def set_mine(self, path: str, providers: Sequence[ProviderInfo]) -> None:
        """These are this node's at *path*."""
        if providers:
            self.mine[path] = tuple(providers)
        else:
            self.mine.pop(path, None)
        self._keepers.clear()

    def revision(self, node: str) -> int:
        """Which announcement of *node*'s is known; -1: none."""
        return self._revisions.get(node, -1)

    def apply(self, node: str, revision: int, data: bytes) -> bool:
        """Take in what *node* has told; whether that is news. What is nonsense is logged."""
        if node == self._me or revision <= self.revision(node):
            return False
        try:
            self._nodes[node] = load_announcement(data)
        except ValueError as error:
            logger.error("what the node %r has announced was dropped: %s", node, error)
            return False
        self._revisions[node] = revision
        self._keepers.clear()
        return True

    def forget(self, node: str) -> bool:
        """*node* is no more; whether that is news."""
        if node == self._me or self._nodes.pop(node, None) is None:
            return False
        self._revisions.pop(node, None)
        self._keepers.clear()
        return True

    def choose(self, path: str, wish: Wish) -> str | None:
        """The identity that *wish*'s key keeps to; None where no provider fits."""
        keeper = self._keepers.get(path)
        if keeper is None:
            providers: dict[Name, Provider] = {}
            for announced in self._nodes.values():
                for each in announced.get(path, ()):
                    provider = providers.setdefault(each.identity, Provider(each.identity))
                    provider.slots[Slot(None, each.identity, each.labels)] = None
            keeper = self._keepers[path] = Rendezvous(providers)
        found = keeper.choose(wish.labels, wish.key or "")
        return None if found is None else str(found.name)
