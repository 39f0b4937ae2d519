"""The same provider for the same key, as long as it is there: rendezvous hashing.

Every pair of a key and a node has a score, and a key goes to the node of the highest. So all who
see the same nodes choose alike, in any process; a node that leaves gives up its own keys only, and
one that joins takes an even part from all others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sized
from hashlib import blake2b
from typing import Final

from wirecore.protocols.pool.queues import Name, Node

#: So many keys are remembered beside those that are in use, the last ones; some 300 bytes each.
_REMEMBERED: Final = 16_384

#: The log of those who joined is begun anew when it is longer than this and the nodes' number.
_LOG: Final = 256


class _Choice:
    """What was chosen for a key, and how much of the log of those who joined it knows."""

    __slots__ = ("node", "score", "seen")

    def __init__(self, node: Node, score: bytes, seen: int) -> None:
        self.node = node
        self.score = score
        self.seen = seen


class Rendezvous:
    """Chooses among *nodes*, a mapping that its owner changes; he tells who gets a slot.

    *in_use*: what he asks for again at every coming and going, as many keys as he has there.

    A choice is remembered. Who left is noticed when it was chosen, and who joined since is only
    compared with it: so a key costs a hash for each node once, not at every coming and going.
    """

    __slots__ = ("_choices", "_in_use", "_joined", "_nodes")

    def __init__(self, nodes: Mapping[Name, Node], in_use: Sized = ()) -> None:
        self._nodes = nodes
        self._in_use = in_use
        self._choices: OrderedDict[tuple[frozenset[str], str], _Choice] = OrderedDict()
        self._joined: list[Node] = []

    def joined(self, node: Node) -> None:
        """*node* got a slot: it may fit where it didn't before."""
        if len(self._joined) >= max(_LOG, len(self._nodes)):
            self._joined.clear()
            self._choices.clear()
        self._joined.append(node)

    def choose(self, labels: frozenset[str], key: str) -> Node | None:
        """The node for *key* among those that fit *labels*; None where none does."""
        choice = self._choices.get((labels, key))
        if choice is None or not choice.node.fits(labels):
            choice = self._search(labels, _encoded(key))
            if choice is None:
                return None
            self._choices[labels, key] = choice
            if len(self._choices) > _REMEMBERED + len(self._in_use):
                self._choices.popitem(last=False)
        elif choice.seen < len(self._joined):
            self._update(choice, labels, _encoded(key))
        self._choices.move_to_end((labels, key))
        return choice.node

    def _search(self, labels: frozenset[str], data: bytes) -> _Choice | None:
        scores = [(_score(node, data), node) for node in self._nodes.values() if node.fits(labels)]
        if not scores:
            return None
        score, node = max(scores, key=_rank)
        return _Choice(node, score, len(self._joined))

    def _update(self, choice: _Choice, labels: frozenset[str], data: bytes) -> None:
        for node in self._joined[choice.seen :]:
            if node.fits(labels):
                found = _score(node, data), node
                if _rank(found) > _rank((choice.score, choice.node)):
                    choice.score, choice.node = found
        choice.seen = len(self._joined)


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _score(node: Node, data: bytes) -> bytes:
    return blake2b(node.prefix + data, digest_size=8).digest()


def _rank(scored: tuple[bytes, Node]) -> tuple[bytes, bytes]:
    return scored[0], scored[1].prefix
