"""Secrets don't show, whatever they are in, in text as in JSON; all else does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.tap.observing import Piece, behind_upgrade, message, observe, upgrade
from wirecore import gob
from wirecore._backend import default
from wirecore.protocols.pool import GobCalling
from wirecore.protocols.rest import PROTOCOL as REST_V1
from wirecore.protocols.rest import RequestHead, frames
from wirecore_cli.tap.masking import Masker, is_secret, masked
from wirecore_cli.tap.records import Record
from wirecore_cli.tap.showing import Showing
from wirecore_cli.tap.writers import Lines, json_lines

SECRET = "hunter2-hunter2-hunter2"


def shown(records: list[Record]) -> str:
    """All that is written of *records*: lines, details, and JSON."""
    lines = Lines(verbose=True, console=None, encoding="utf-8")(records).decode()
    return lines + json_lines(records).decode()


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Password",
        "userPassword",
        "db_password",
        "token",
        "access_token",
        "accessToken",
        "X-Auth-Token",
        "secret",
        "client-secret",
        "key",
        "apiKey",
        "API_KEY",
        "apikey",
        "authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "sessionKey",
        "privateKey",
        # Names of one case, as HTTP/2 and ASGI have them.
        "x-authtoken",
        "X-Authtoken",
        "accesstoken",
        "REFRESHTOKEN",
        "clientsecret",
        "secretaccesskey",
        "userpassword",
        "passwordconfirm",
        "PassWord",
        "mypwd",
        "oauthcode",
        "accountkey",
        "sessioncookies",
        "tokenvalue",
        "userpass",
        "db_pass",
        "JSESSIONID",
        "session_id",
        "sessionId",
        # Of forms.
        "user[password]",
        "pass%77ord",
        "user%5Btoken%5D",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "monkey",
        "turnkey",
        "whiskey",
        "hockey",
        "keyboard",
        "keyword",
        "tokenizer",
        "tokenization",
        "author",
        "authority",
        "authentic",
        "secretary",
        "secretion",
        "compass",
        "bypass",
        "pass_count",
        "passenger",
        "cookiecutter",
        "signal",
        "session",
        "Sec-WebSocket-Key",
        "name",
        "id",
        "",
    ],
)
def test_names_of_others(name: str) -> None:
    assert not is_secret(name)


@given(st.text(min_size=1, max_size=600))
def test_what_stands_in_its_place_tells_a_class_of_lengths(secret: str) -> None:
    said = masked(secret)
    found = re.fullmatch(r"\[masked, (\d+)(?:-(\d+)| or more)\]", said)
    assert found is not None
    assert int(found[1]) <= len(secret) <= int(found[2] or len(secret))
    assert said == masked("x" * len(secret))


TEXTS = [
    f'{{"user": "ann", "password": "{SECRET}"}}',
    f'[{{"deep": {{"api_key": "{SECRET}", "n": 1}}}}]',
    f'{{"token": {{"inner": "{SECRET}"}}, "a": 1}}',
    f'{{"secrets": ["{SECRET}"]}}',
    f'{{"password": "{SECRET}',  # its end is missing
    f'x {{"escaped": "{{\\"token\\": \\"{SECRET}\\"}}"}}',
    f'{{"escaped": "{{\\"token\\": \\"{SECRET}\\"}}"}}',
    f"{{'password': 'it\"s {SECRET}'}}",
    f'no JSON {{"password": "it\'s {SECRET}"}}',
    f'no JSON {{"token": {{"inner": "{SECRET}"}}, "a": 1}}',
    f'no JSON {{"token": ["a", "{SECRET}"]}}',
    f"password=((({SECRET})))",
    f"user=ann&password={SECRET}&page=2",
    f"token: {SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Odd {SECRET}",
    f"GET / HTTP/1.1\r\nCookie: a={SECRET}; b={SECRET}\r\nHost: x\r\n\r\n",
    f"see https://ann:{SECRET}@example.com/x",
    f"https://example.com/x?access_token={SECRET}",
    f'{{"url": "wss://ann:{SECRET}@example.com/?token={SECRET}"}}',
    f"login with Bearer {SECRET}, please",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    f'{{"refreshtoken": "{SECRET}"}}',
    f"user[password]={SECRET}&page=2",
    f"page=2&pass%77ord={SECRET}",
    f"user%5Bpassword%5D={SECRET}",
    f"password => {SECRET}",
    f'$_POST["password"] = "{SECRET}"',
    f'"password"\n\n\n\n\n\n: "{SECRET}"',
    f"user: ann\npassword: |\n  {SECRET}\n\n  and {SECRET}\npage: 2",
    f"password: >-\r\n  {SECRET}",
    f'WWW-Authenticate: Digest realm="us", nonce="{SECRET}", opaque="{SECRET}"',
    f"Digest username=ann, response={SECRET}",
    f"use Digest {SECRET}==, please",
    f'form-data; name="password"\r\n\r\n{SECRET}\r\n{SECRET}\r\n--x',
    f"Form-Data; name=token\r\nContent-Type: text/plain\r\n\r\n{SECRET}",
    f'{{"name": "password", "value": "{SECRET}"}}',
    f'{{"Value": "{SECRET}", "Name": "apikey"}}',
    f'[["x-authtoken", "{SECRET}"]]',
    f'no JSON {{"name": "password", "value": "{SECRET}"}}',
    f"<user><password kind='x'>{SECRET}</password></user>",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"ghp_{SECRET}",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("protocol", ["raw", "webwire"])
def test_secrets_in_texts(text: str, protocol: str) -> None:
    data: Any = text
    if protocol == "webwire":
        data = b"\x40\x01n" + text.encode()
    pieces = [message("client", data)]
    said = shown(behind_upgrade(pieces, protocol=protocol))
    assert SECRET not in said
    assert "hunter2" not in said
    assert "masked" in said
    assert SECRET in shown(behind_upgrade(pieces, protocol=protocol, show_secrets=True))


@pytest.mark.parametrize(
    "text",
    [
        '{"user": "ann", "page": 2, "password": null, "has_token": true}',
        "plain text, with a colon: and more",
        "https://example.com/x?page=2",
        '{"a": [1, 2.5, "x"]}',
        "2026-11-20T12:00:00Z",
        '{"keyboard": "qwerty", "author": "ann", "name": "page", "value": 2}',
        'form-data; name="page"\n\n2\n--x',
        "<author>ann</author> a => b",
        'Bearer realm="us", error="invalid_token"',
        "note: |\n  keyboards",
    ],
)
def test_all_else_is_shown_as_it_is(text: str) -> None:
    [record] = behind_upgrade([message("client", text)], protocol="raw")
    assert record.told.fields["payload"] == text


def test_what_is_masked_by_a_long_jsons_beginning() -> None:
    text = json.dumps({"password": SECRET, "rest": "x" * 100_000})
    said = shown(behind_upgrade([message("client", text)], protocol="raw"))
    assert "hunter2" not in said


HEAD = (
    f"Authorization: Bearer {SECRET}\r\nProxy-Authorization: {SECRET}\r\nCookie: s={SECRET}\r\n"
    f"X-Api-Key: {SECRET}\r\n"
).encode()


def test_secrets_in_the_handshake() -> None:
    target = f"/room?token={SECRET}&page=2&x=AAAABBBBCCCCDDDDEEEEFFFF".encode()
    pieces = upgrade(request=HEAD, answer=f"Set-Cookie: s={SECRET}; Path=/\r\n".encode())
    pieces[0] = ("client", pieces[0][1].replace(b"/path", target))
    records = observe(pieces)
    said = shown(records)
    assert "hunter2" not in said
    assert records[0].told.fields["target"] == (
        "/room?token=[masked, 17-32]&page=2&x=[masked, 17-32]"
    )
    assert ["authorization", "Bearer [masked, 17-32]"] in records[0].told.fields["headers"]
    assert "hunter2" in shown(observe(pieces, show_secrets=True))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (f"/p?a=1;token={SECRET}&b=2", "/p?a=1;token=[masked, 17-32]&b=2"),
        (f"/p?pass%77ord={SECRET}", "/p?pass%77ord=[masked, 17-32]"),
        (f"/p?user[password]={SECRET}", "/p?user[password]=[masked, 17-32]"),
        (f"/p?accesstoken={SECRET}#x", "/p?accesstoken=[masked, 17-32]"),
        (f"/p;jsessionid={SECRET}?page=2", "/p;jsessionid=[masked, 17-32]?page=2"),
        ("/p?next=http://a:hunter2@x/&page=2", "/p?next=http://[masked, 9-16]@x/&page=2"),
        ("/p?keyboard=qwerty;author=ann", "/p?keyboard=qwerty;author=ann"),
    ],
)
def test_secrets_in_targets(target: str, says: str) -> None:
    assert Masker().target(target) == says


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("chat, v4.channel.k8s.io, wirecore.rest.v1, graphql-transport-ws", None),
        (
            f"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.{SECRET}",
            "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.[masked, 17-32]",
        ),
        ("bearer.hunter2, chat", "bearer.[masked, 1-8], chat"),
        ("access_token, hunter2, chat", "access_token, [masked, 1-8], chat"),
        (f"chat, {SECRET}", "chat, [masked, 17-32]"),
        ("openai-insecure-api-key.hunter2", "openai-insecure-api-key.[masked, 1-8]"),
    ],
)
def test_secrets_in_subprotocols(value: str, says: str | None) -> None:
    assert Masker().field("Sec-WebSocket-Protocol", value) == (says or value)
    line = f"Sec-WebSocket-Protocol: {value}\r\n".encode()
    assert "hunter2" not in shown(observe(upgrade(request=line, answer=line)))


def test_secrets_in_the_answer_to_a_request_that_is_no_upgrade() -> None:
    body = f'{{"token": "{SECRET}"}}'.encode()
    answer = b"HTTP/1.1 401 No\r\nSet-Cookie: a=%b\r\nContent-Length: %d\r\n\r\n%b" % (
        SECRET.encode(),
        len(body),
        body,
    )
    records = observe([upgrade()[0], ("server", answer)])
    assert records[1].told.fields["status"] == 401
    assert "hunter2" not in shown(records)


def sequential() -> list[Piece]:
    body = f'{{"password": "{SECRET}"}}'.encode()
    head = b"POST /login?token=%b HTTP/1.1\r\nHost: x\r\n" % SECRET.encode() + HEAD
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: s=%b\r\nContent-Length: %d\r\n\r\n" % (
        SECRET.encode(),
        len(body),
    )
    return [
        message("client", (head + body).decode()),
        message("server", answer.decode()),
        message("server", body.decode()),
    ]


def test_secrets_in_http_in_text_messages() -> None:
    records = behind_upgrade(sequential(), protocol="rest")
    assert [each.told.kind for each in records] == ["request", "response", "end"]
    assert "hunter2" not in shown(records)
    assert "hunter2" in shown(behind_upgrade(sequential(), protocol="rest", show_secrets=True))


def test_secrets_in_http_in_frames() -> None:
    secret = SECRET.encode()
    fields = ((b"Host", b"x"), (b"Cookie", b"s=" + secret), (b"X-Token", secret))
    head = RequestHead(b"POST", b"/?key=" + secret, fields)
    body = b'{"secret": "%b"}' % secret
    pieces = [
        *upgrade(subprotocol=REST_V1),
        message("client", frames.encode_request(1, head, body, end=False)),
        message("client", frames.encode_trailers(1, [(b"X-Secret", secret)])),
        message("client", frames.encode_control(b'{"token": "%b"}' % secret)),
    ]
    records = observe(pieces)
    assert [each.told.kind for each in records[2:]] == ["request", "trailers", "control"]
    assert "hunter2" not in shown(records)


def test_secrets_in_calls_of_a_pool() -> None:
    argument = {"User": "ann", "Password": SECRET, "Url": f"http://a:{SECRET}@x/"}
    made = b"".join(GobCalling().encode_request(0, "A.B", argument, dict[str, str]))
    in_json = json.dumps({"method": "A.B", "params": [argument], "id": 0})
    for protocol, data in (("pool-gob", made), ("pool-json", in_json.encode())):
        records = behind_upgrade([message("server", data)], protocol=protocol)
        assert [each.told.kind for each in records] == ["call"]
        assert "hunter2" not in shown(records)
        value = records[0].told.fields["value"]
        assert value["User"] == "ann"
        assert value["Password"] == "[masked, 17-32]"
    assert gob.loads(gob.dumps(1)) == 1


def test_secrets_in_wsrpc_with_and_without_names() -> None:
    payload = b"\x0a\x1etoken=" + SECRET.encode()[:24] + b"\x12"
    payload = b"\x0a" + bytes((len(SECRET) + 6,)) + b"token=" + SECRET.encode()
    data = default.envelope.encode_request("Login", "id-1", payload)
    records = behind_upgrade([message("client", data)], protocol="wsrpc")
    fields = records[0].told.fields
    assert fields["fields"] == [[1, "token=[masked, 17-32]"]]
    values = behind_upgrade(
        [message("client", data)],
        protocol="wsrpc",
        values=lambda method, answer, payload: {"password": SECRET, "name": method},
    )
    assert values[0].told.fields["value"] == {"password": "[masked, 17-32]", "name": "Login"}


def test_control_characters_are_escaped_wherever_they_are() -> None:
    evil = "a\x1b[2Jb\nc\x9b"
    pieces = [
        message("client", evil),
        ("client", default.frames.encode_frame(8, b"\x03\xe8" + evil.encode(), True)),
    ]
    text = Lines(verbose=True, console=None, encoding="utf-8")(
        behind_upgrade(pieces, protocol="raw")
    ).decode()
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert r"\x1b[2J" in text


@given(st.binary(max_size=300), st.integers(0, 100))
def test_any_payload_can_be_shown_within_its_bound(data: bytes, most: int) -> None:
    for binary in ("hex", "base64"):
        shown_as = Showing(Masker(), max_bytes=most, binary=binary).payload(data)
        assert shown_as["payload_size"] == len(data)
        assert bool(shown_as.get("payload_cut")) == (len(data) > most)
        json.dumps(shown_as)
        if shown_as["payload_encoding"] == "hex":
            assert bytes.fromhex(shown_as["payload"]) == data[:most]


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=30,
    )
)
def test_any_value_becomes_json(value: Any) -> None:
    json.loads(json.dumps(Showing().value(value), allow_nan=False))
