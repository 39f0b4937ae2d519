"""Where connections begin and end in another way than the original's; see ``differences``."""

from __future__ import annotations

from typing import Final

from tests.transports.rest.golden import edits_of_ends as ends
from tests.transports.rest.golden.difference import Difference

_AT_ONCE: Final = "somebody always reads: an end is seen at once"

OF_ENDS: Final = (
    # --- handshakes ---------------------------------------------------------------------------
    Difference(
        "a handshake that is none closes the connection: a server of the original's never "
        "answers, and a client's process ends",
        ends.closes(1002),
        (
            "handshake/rawclient/wrong_type server",
            "handshake/rawclient/not_json server",
            "handshake/rawclient/wrong_ack server",
            "handshake/rawclient/empty_message server",
            "handshake/rawserver/wrong_type client",
            "handshake/rawserver/not_json client",
        ),
    ),
    Difference(
        "metadata is compared whatever it is; the original panics of lists and objects",
        ends.finds(" panics"),
        ("handshake/meta/object server", "handshake/meta/list server"),
    ),
    Difference(
        "numbers are compared by what they are worth",
        ends.finds("(int 5)"),
        ("handshake/meta/number server",),
    ),
    # --- ends ---------------------------------------------------------------------------------
    Difference(
        "closed with 1001: any other code has a calling original dial again, or ends its process",
        ends.going_away,
        (
            "seq/* calls",
            "close/*/caller_closes* calls",
            "close/*/serving_side_closes* serves",
            "registry server",
        ),
    ),
    Difference(
        "a close frame is answered with its own code, as RFC 6455 section 5.5.1 wants",
        ends.answers_close,
        (
            "seq/* serves",
            "close/*/caller_closes* serves",
            "close/*/serving_side_closes* calls",
            "rawclose/close:* * serves",
            "rawresp/close_* * calls",
            "handshake/rawserver/close client",
        ),
    ),
    Difference(
        f"{_AT_ONCE}, and the stream is ended then",
        ends.stream_ends,
        (
            "close/*/serving_side_closes* calls",
            "rawclose/close:*/idle * serves",
            "handshake/rawclient/close_in_mid server",
        ),
    ),
    Difference(
        "what is being served when a server closes is cut off, which its handler is told; the "
        "original waits for its handler",
        ends.cut_off,
        (
            "close/server/caller_closes_while_streaming* serves",
            "close/client/caller_closes_while_streaming client serves",
            "close/server/serving_side_closes_while_called server serves",
        ),
    ),
    Difference(
        "a client that leaves lets what is being served be answered, for close_timeout; then it "
        "is cut off",
        ends.goes_on,
        ("close/client/serving_side_closes_while_called client serves",),
    ),
    Difference(
        "a client that leaves lets what it has asked be answered, for close_timeout",
        ends.answered_after_all,
        ("close/server/caller_closes_while_streaming* client calls",),
    ),
    Difference(
        "a client dials again after each loss, whatever it was",
        ends.dials_again,
        (
            "seq/client client serves",
            "close/*/tcp_cut client *",
            "close/*/tcp_cut_while_streaming client *",
            "close/server/serving_side_closes* client calls",
            "close/client/caller_closes* client serves",
            "rawresp/garbage client calls",
            "rawresp/no_length client calls",
            "rawresp/partial_then_tcp_cut client calls",
            "rawresp/swapped client calls",
            "rawresp/wrong_correlation_id client calls",
            "rawresp/close_1001* client calls",
            "rawresp/close_*/keepalive client calls",
            "handshake/rawserver/wrong_type client",
            "handshake/rawserver/not_json client",
            "handshake/rawserver/close client",
        ),
    ),
    Difference(
        f"{_AT_ONCE}; the original needs a heartbeat",
        ends.sees_the_end,
        (
            "close/*/tcp_cut server *",
            "close/*/tcp_cut_while_streaming server *",
            "close/client/serving_side_closes* server calls",
            "rawclose/cut/* server serves",
            "rawclose/*/idle server serves",
        ),
    ),
    Difference(
        "a ping is answered, also where nobody serves or calls yet",
        ends.answers_pings,
        ("ping/idle server serves", "close/*/tcp_cut*/keepalive * calls"),
    ),
    Difference(
        f"{_AT_ONCE}, and not with the next ping",
        ends.sees_it_first,
        ("close/*/tcp_cut*/keepalive server *",),
    ),
    Difference(
        f"{_AT_ONCE}, and the handler is told",
        ends.is_told,
        ("close/*/tcp_cut_while_streaming * serves",),
    ),
    Difference(
        f"{_AT_ONCE}, and nothing is pinged any more",
        ends.pings(0),
        ("close/*/serving_side_closes/keepalive * calls",),
    ),
    *(
        Difference(
            f"{_AT_ONCE}, and the next connection lives longer", ends.pings(0, count), (where,)
        )
        for where, count in {
            "close/server/tcp_cut/keepalive client calls": 2,
            "close/server/tcp_cut_while_streaming/keepalive client calls": 3,
            "close/client/tcp_cut/keepalive client serves": 7,
            "close/client/tcp_cut_while_streaming/keepalive client serves": 5,
        }.items()
    ),
)
