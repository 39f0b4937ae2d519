"""Where ours says something else than the original; see ``differences``."""

from __future__ import annotations

from typing import Final

from tests.transports.rest.golden import edits
from tests.transports.rest.golden import edits_of_ends as ends
from tests.transports.rest.golden.difference import Difference
from tests.transports.rest.golden.seen import PENDING

_PIECES: Final = (
    "each piece that an application sends is a message, and a chunk where there are chunks; the "
    "original gathers what isn't flushed"
)

OF_MESSAGES: Final = (
    # --- upgrades -----------------------------------------------------------------------------
    Difference(
        "our own ends agree on more by a subprotocol, which the original doesn't look at",
        edits.offers,
        ("handshake/* client", "* client calls", "* client serves"),
    ),
    Difference(
        "a refused upgrade tells people why, and ends TCP",
        edits.refuses_upgrade("400 Bad Request", 49),
        ("handshake/http/plain_get server",),
    ),
    Difference(
        "a refused upgrade tells people why, and ends TCP",
        edits.refuses_upgrade("403 Forbidden", 41),
        ("handshake/http/other_origin server",),
    ),
    # --- responses ----------------------------------------------------------------------------
    Difference(
        "an application says its type of content, which stands among its fields; the original "
        "makes one up",
        edits.own_types,
        ("*",),
    ),
    Difference(
        "an empty message ends a response for a calling original: none is sent",
        edits.no_empty,
        ("call/*/double_flush * serves", "call/*/declared_length_flush * serves"),
    ),
    Difference(
        _PIECES,
        edits.in_pieces(b"\r\nTransfer-Encoding: chunked\r\n", 1500, 1500, 1500),
        ("call/*/three_writes_of_1500 * serves",),
    ),
    Difference(
        _PIECES,
        edits.in_pieces(b"\r\nContent-Length: 5000\r\n", 1000, 1000, 1000, 1000, 1000),
        ("call/*/declared_length_5000 * serves",),
    ),
    Difference(
        "trailers are a message of their own, as they are for the application",
        edits.trailers_apart,
        ("call/*/trailers * serves", "seq/* serves"),
    ),
    Difference(
        "the length of a body that HEAD leaves out is told where all of it was given, however "
        "long, and stands among the application's fields",
        edits.length_of_head,
        ("call/*/head_json * serves", "call/*/head_small * serves", "call/*/head_large * serves"),
    ),
    Difference(
        "fields of one connection aren't an application's to send",
        edits.replaced(b"Connection: close\r\n", b""),
        ("call/*/handler_headers * serves",),
    ),
    Difference(
        "a whole body has its length where it can't be chunked: else nobody can tell its end",
        edits.replaced(b"Date: DATE\r\n", b"Date: DATE\r\nContent-Length: 5000\r\n"),
        ("rawreq/http_1_0_long server serves",),
    ),
    # --- requests -----------------------------------------------------------------------------
    Difference(
        "a request is read as a whole, however long, and waits for its application as such; the "
        "original reads on while the handler runs, and cuts its body off",
        edits.whole_echo,
        (
            "call/server/post_868 * serves",
            "call/server/post_3000 * serves",
            "call/server/post_3938 * serves",
            "call/server/post_3939 * serves",
            "call/*/post_5000* * serves",
            "call/*/post_1mib * serves",
            "rawreq/post_3900_one_frame * serves",
            "rawreq/post_5000* * serves",
            "rawreq/post_50000* * serves",
        ),
    ),
    Difference(
        "a target in absolute form says the host, and is a path to the application",
        edits.origin_form,
        ("rawreq/absolute_uri * serves",),
    ),
    Difference(
        "what is no request gets 400, and the next message may be one; the original stops "
        "reading for good",
        edits.refuses(400, then_answers=True),
        (
            "rawreq/bad_method * serves",
            "rawreq/empty_message * serves",
            "rawreq/garbage * serves",
            "rawreq/garbage_lines * serves",
            "rawreq/incomplete_headers * serves",
            "rawreq/json_instead * serves",
        ),
    ),
    Difference(
        "a request whose body isn't whole at the end of its message gets 400",
        edits.refuses(400),
        ("rawreq/body_shorter_than_length * serves",),
    ),
    Difference(
        "a request whose body isn't whole at the end of its message gets 400, and so does what "
        "should have been the rest of it, in the next message",
        edits.refuses(400, 400),
        ("rawreq/head_and_body_split * serves",),
    ),
    Difference(
        "an application that fails has its caller get 500, and the process goes on",
        edits.refuses(500),
        ("rawreq/handler_panics * serves",),
    ),
    Difference(
        "a request without a correlation id is given one",
        ends.given_an_id,
        ("call/*/no_correlation_id * calls",),
    ),
    # --- two at once --------------------------------------------------------------------------
    Difference(
        "two requests at once are answered both, one after the other; the original loses one",
        edits.answers_both,
        (
            "concurrent/server/* * serves",
            "concurrent/client/slow_then_fast * serves",
            "rawreq/two_at_once_* * serves",
        ),
    ),
    Difference(
        "a request is sent behind the last byte of the response before it",
        ends.one_at_a_time,
        ("concurrent/* * calls",),
    ),
    # --- odd responses ------------------------------------------------------------------------
    Difference(
        "an empty message within a response is passed over, and the next one isn't its rest",
        edits.all_of(ends.result(body=b"onetwo"), ends.answered),
        ("call/*/double_flush * calls",),
    ),
    Difference(
        "an empty message within a response is passed over",
        ends.result(body=b"body"),
        ("rawresp/one_empty_inside * calls", "rawresp/two_empty_inside * calls"),
    ),
    Difference(
        "empty messages in front of a response are passed over, be there more than one",
        ends.two_empty_first,
        ("rawresp/two_empty_first * calls",),
    ),
    Difference(
        "100 isn't the answer",
        ends.result(
            status=200,
            fields={
                "Content-Length": ["2"],
                "X-Correlation-Id": ["11111111-1111-4111-8111-111111111111"],
            },
            body=b"ok",
        ),
        ("rawresp/continue_100_first * calls",),
    ),
    Difference(
        "a response is read as it comes: the recorded user saw nothing before its end",
        ends.result(
            status=200,
            fields={
                "Content-Length": ["10"],
                "X-Correlation-Id": ["11111111-1111-4111-8111-111111111111"],
            },
            body=b"part",
            error=PENDING,
        ),
        ("rawresp/partial_then_silence * calls",),
    ),
    Difference(
        "what can't be answered any more is an error at once, and not after 10 s or never; "
        "nor does it end the process, or get another request's response",
        ends.fails_at_once,
        (
            "rawresp/close_* * calls",
            "rawresp/garbage * calls",
            "rawresp/no_length * calls",
            "rawresp/swapped * calls",
            "rawresp/tcp_cut* * calls",
            "rawresp/wrong_correlation_id * calls",
        ),
    ),
    Difference(
        "a response that is none, has no end, or is another request's, closes the connection",
        ends.closes(1001),
        (
            "rawresp/garbage * calls",
            "rawresp/no_length * calls",
            "rawresp/wrong_correlation_id * calls",
        ),
    ),
    Difference(
        "a response that is another request's closes the connection, and the next request waits "
        "for a new one",
        edits.all_of(ends.closes_for(1001), ends.pending),
        ("rawresp/swapped * calls",),
    ),
)
