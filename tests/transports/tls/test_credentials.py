"""Who is accepted, how the list of a running server changes, and what credentials show."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import TYPE_CHECKING

import pytest

from wirecore.errors import InvalidKey
from wirecore_trio.tls import (
    ClientCredentials,
    PinnedEngine,
    ServerCredentials,
    generate_private_key,
    load_public_key,
    public_key_of,
)
from wirecore_trio.tls.keys import PublicKey

if TYPE_CHECKING:
    from tests.transports.tls.conftest import KeyPair


def test_only_listed_keys_are_allowed(
    server_credentials: ServerCredentials, client_key: KeyPair, other_key: KeyPair
) -> None:
    assert server_credentials.allowed(client_key.public)
    assert not server_credentials.allowed(other_key.public)
    assert not server_credentials.allowed(client_key.public[:31])
    assert not server_credentials.allowed(b"")


def test_every_listed_key_is_looked_at_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, server_key: KeyPair
) -> None:
    compared: list[bytes] = []

    def compare(listed: bytes, shown: bytes) -> bool:
        compared.append(listed)
        return listed == shown

    monkeypatch.setattr("hmac.compare_digest", compare)
    keys = [public_key_of(generate_private_key()) for _ in range(5)]
    credentials = ServerCredentials(server_key.seed, keys)
    for shown in (keys[0], keys[4], server_key.public):
        compared.clear()
        assert credentials.allowed(shown) is (shown in keys)
        assert compared == keys


def test_a_client_may_accept_several_servers(client_key: KeyPair, server_key: KeyPair) -> None:
    second = generate_private_key().public_key()
    both: list[PublicKey] = [server_key.public, second]
    several = ClientCredentials(client_key.seed, iter(both))
    assert several.server_public_keys == (server_key.public, load_public_key(second))
    assert several.allowed(server_key.public)
    single = ClientCredentials(client_key.seed, second)
    assert single.server_public_keys == (load_public_key(second),)
    assert single.public_key == client_key.public


def test_a_client_without_a_server_key_is_a_mistake(client_key: KeyPair) -> None:
    with pytest.raises(InvalidKey, match="at least one server public key"):
        ClientCredentials(client_key.seed, [])
    with pytest.raises(
        InvalidKey, match=r"^server_public_key: invalid key length: 0, expected: 32 "
    ):
        ClientCredentials(client_key.seed, b"")


def test_a_server_may_start_with_nobody_listed(server_key: KeyPair, client_key: KeyPair) -> None:
    credentials = ServerCredentials(server_key.seed, [])
    assert not credentials.allowed(client_key.public)
    assert repr(credentials).endswith("client keys: none>")
    credentials.replace([client_key.public])
    assert credentials.allowed(client_key.public)


def test_a_single_key_isnt_a_list_of_keys(server_key: KeyPair, client_key: KeyPair) -> None:
    with pytest.raises(InvalidKey, match="expected an iterable of public keys"):
        ServerCredentials(server_key.seed, client_key.public)  # type: ignore[arg-type] # the mistake


def test_what_is_no_list_of_keys_is_named(server_key: KeyPair, client_key: KeyPair) -> None:
    key = generate_private_key().public_key()
    with pytest.raises(InvalidKey, match=r"^client_public_keys: .* put it into a list$"):
        ServerCredentials(server_key.seed, key)  # type: ignore[arg-type] # the mistake is tested
    with pytest.raises(InvalidKey, match=r"^client_public_keys: .* public keys, got: NoneType$"):
        ServerCredentials(server_key.seed, None)  # type: ignore[arg-type] # the mistake is tested
    credentials = ServerCredentials(server_key.seed, [])
    with pytest.raises(InvalidKey, match=r"^client_public_keys: .* public keys, got: int$"):
        credentials.replace(7)  # type: ignore[arg-type] # the mistake is tested
    with pytest.raises(InvalidKey, match=r"^server_public_key: .* got: NoneType"):
        ClientCredentials(client_key.seed, None)  # type: ignore[arg-type] # the mistake is tested
    with pytest.raises(InvalidKey, match=r"^server_public_key\[1\]: 64 hex characters as text"):
        ClientCredentials(client_key.seed, [server_key.public, server_key.public.hex()])


def test_our_own_private_key_is_no_public_one(server_key: KeyPair, client_key: KeyPair) -> None:
    """A seed looks like any public key, but not like any to who holds it."""
    with pytest.raises(InvalidKey, match=r"^server_public_key: this is our own private key"):
        ClientCredentials(client_key.seed, client_key.seed)
    credentials = ServerCredentials(server_key.seed, [client_key.public])
    with pytest.raises(InvalidKey, match=r"^client_public_keys\[1\]: .* the client's public key$"):
        credentials.replace([client_key.public, server_key.seed])
    assert credentials.client_public_keys == (client_key.public,)


def test_our_own_public_key_in_the_list_is_told(
    client_key: KeyPair, server_key: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    """It isn't wrong for sure, as both ends may share one private key; most likely it is."""
    mine = ClientCredentials(client_key.seed, client_key.public)
    assert mine.allowed(client_key.public)
    ServerCredentials(server_key.seed, [client_key.public]).replace([server_key.public])
    assert [record.getMessage() for record in caplog.records] == [
        "server_public_key is the public key of this client itself: only a server with the same "
        "private key fits it",
        "client_public_keys[0] is the public key of this server itself: only a client with the "
        "same private key fits it",
    ]


def test_wrong_keys_come_out_at_once(server_key: KeyPair, client_key: KeyPair) -> None:
    with pytest.raises(InvalidKey, match=r"^private_key: invalid key length: 5, expected: 64"):
        ServerCredentials(b"short", [client_key.public])
    with pytest.raises(InvalidKey, match=r"^client_public_keys\[1\]: invalid key length: 5"):
        ServerCredentials(server_key.seed, [client_key.public, b"short"])


def test_replacing_tells_of_the_removed_keys(
    server_credentials: ServerCredentials, client_key: KeyPair, other_key: KeyPair
) -> None:
    told: list[frozenset[bytes]] = []
    server_credentials.subscribe(told.append)
    server_credentials.replace([other_key.public, client_key.public, other_key.public])
    assert told == []  # nobody went
    assert server_credentials.client_public_keys == (other_key.public, client_key.public)
    server_credentials.replace([other_key.public])
    assert told == [frozenset({client_key.public})]
    assert not server_credentials.allowed(client_key.public)
    server_credentials.replace([])
    assert told[1:] == [frozenset({other_key.public})]


def test_subscribers_see_the_new_list(
    server_credentials: ServerCredentials, client_key: KeyPair
) -> None:
    seen: list[bool] = []
    server_credentials.subscribe(
        lambda removed: seen.append(server_credentials.allowed(client_key.public))
    )
    server_credentials.replace([])
    assert seen == [False]


def test_one_wrong_key_changes_nothing(
    server_credentials: ServerCredentials, client_key: KeyPair, other_key: KeyPair
) -> None:
    told: list[frozenset[bytes]] = []
    server_credentials.subscribe(told.append)
    with pytest.raises(InvalidKey, match=r"^client_public_keys\[1\]: invalid key length: 33"):
        server_credentials.replace([other_key.public, other_key.public + b"x"])
    assert server_credentials.client_public_keys == (client_key.public,)
    assert told == []


def test_subscriptions_end(server_credentials: ServerCredentials) -> None:
    told: list[frozenset[bytes]] = []
    unsubscribe = server_credentials.subscribe(told.append)
    unsubscribe()
    unsubscribe()
    server_credentials.replace([])
    assert told == []


def test_a_failing_subscriber_keeps_nobody_from_being_told(
    server_credentials: ServerCredentials, client_key: KeyPair
) -> None:
    order: list[str] = []

    def failing(removed: frozenset[bytes]) -> None:
        order.append("failing")
        raise ZeroDivisionError("the subscriber's own mistake")

    server_credentials.subscribe(lambda removed: order.append("first"))
    server_credentials.subscribe(failing)
    server_credentials.subscribe(lambda removed: order.append("last"))
    with pytest.raises(ZeroDivisionError, match="own mistake"):
        server_credentials.replace([])
    assert order == ["first", "failing", "last"]
    assert not server_credentials.allowed(client_key.public)


def test_credentials_show_public_keys_only(client_key: KeyPair, server_key: KeyPair) -> None:
    client = ClientCredentials(client_key.seed, server_key.public)
    assert repr(client) == (
        f"<ClientCredentials with public key {client_key.public.hex()}, "
        f"server keys: {server_key.public.hex()}>"
    )
    server = ServerCredentials(server_key.seed, [client_key.public])
    assert repr(server).endswith(f"client keys: {client_key.public.hex()}>")
    for credentials, pair in ((client, client_key), (server, server_key)):
        shown = f"{credentials!r} {credentials!s} {credentials.private_key!r}"
        assert pair.seed.hex() not in shown
        assert repr(pair.seed)[2:-1] not in shown


def test_a_private_key_isnt_stored_by_accident(client_credentials: ClientCredentials) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(client_credentials)


def test_credentials_no_longer_used_are_freed(client_key: KeyPair, server_key: KeyPair) -> None:
    credentials = ClientCredentials(client_key.seed, server_key.public)
    gone = weakref.ref(credentials)
    assert not PinnedEngine(credentials).handshake()
    del credentials
    gc.collect()
    assert gone() is None
