# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The messages of webwire, protocol 2.0: the compiled twin of ``wirecore_py.webwire``.

A type byte, an id of 8 bytes where it is a request or a reply, a length byte and name (a code)
where it has one, and the payload up to the end. Whoever reads takes any bytes as name; whoever
writes is bound to printable ASCII.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.list cimport PyList_Append
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_Check
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport (
    PyUnicode_Check, PyUnicode_CheckExact, PyUnicode_DecodeLatin1, PyUnicode_FromObject,
)
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from wirecore._buffer cimport as_bytes
from wirecore._calls cimport CallTable

import wirecore.webwire_rules as rules
from wirecore.errors import UnsendableMessage, kind_of
from wirecore.events import RawText

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

ctypedef const unsigned char* Bytes

cdef enum:
    # The first byte of a message. What has encodings stands for its binary form.
    REPLY_ERROR = 0
    REPLY_SESSIONS_DISABLED = 5
    SESSION_CREATED = 21
    SESSION_CLOSED = 22
    ACCEPT_CONF = 23
    CLOSE_SESSION = 31
    RESTORE_SESSION = 32
    HEARTBEAT = 33
    SIGNAL = 63
    REQUEST = 127
    REPLY = 191

cdef enum:
    BINARY = 0
    UTF16 = 2

cdef enum:
    MAX_NAME = 255
    AFTER_ID = 9  # where the payload of what has nothing but type and id begins
    ACCEPT_CONF_SIZE = 11

cdef enum:
    # What is wrong: indices of `texts`. 0 is nothing.
    TEXT_MESSAGE = 1
    EMPTY_MESSAGE
    UNKNOWN_TYPE
    TOO_SHORT
    TOO_LONG
    ODD_LENGTH
    NO_CODE
    LONG_NAME
    UNPRINTABLE_NAME
    NOTHING
    ODD_PAYLOAD
    NAME_ONLY
    EMPTY_CODE
    LONG_CODE
    UNPRINTABLE_CODE

cdef tuple texts = (
    "", rules.TEXT_MESSAGE, rules.EMPTY_MESSAGE, rules.UNKNOWN_TYPE, rules.TOO_SHORT,
    rules.TOO_LONG, rules.ODD_LENGTH, rules.NO_CODE, rules.LONG_NAME, rules.UNPRINTABLE_NAME,
    rules.NOTHING, rules.ODD_PAYLOAD, rules.NAME_ONLY, rules.EMPTY_CODE, rules.LONG_CODE,
    rules.UNPRINTABLE_CODE,
)
cdef object MALFORMED = rules.MALFORMED
cdef object raw_text_class = RawText


# --- reading ------------------------------------------------------------------------------


cdef struct Parts:
    # What a message holds; the pointers are into it.
    int kind
    uint64_t id
    Bytes name
    Py_ssize_t name_size
    Bytes payload
    Py_ssize_t payload_size


cdef inline uint64_t read_id(Bytes data) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(8):
        value |= <uint64_t>data[1 + i] << (8 * i)
    return value


cdef inline int parse_named(
    Bytes data, Py_ssize_t size, Py_ssize_t at, bint wide, Py_ssize_t needed, Parts* parts
) noexcept nogil:
    """Name, length at *at*, and payload, of which *needed* bytes must be there.

    One byte must always be there, of either.
    """
    cdef Py_ssize_t begin
    if size < at + 1 + (needed if needed else 1):
        return TOO_SHORT
    if wide and size & 1:
        return ODD_LENGTH
    parts.name = data + at + 1
    parts.name_size = data[at]
    begin = at + 1 + parts.name_size
    if wide:
        begin += begin & 1
    if size < begin + needed:
        return TOO_SHORT
    parts.payload = data + begin
    parts.payload_size = size - begin
    return 0


cdef inline int parse_fixed(Bytes data, Py_ssize_t size, Parts* parts) noexcept nogil:
    """The messages that come seldom."""
    if parts.kind == SESSION_CLOSED or parts.kind == HEARTBEAT:
        return 0 if size == 1 else TOO_LONG
    if parts.kind == SESSION_CREATED or parts.kind == ACCEPT_CONF:
        if size < (2 if parts.kind == SESSION_CREATED else ACCEPT_CONF_SIZE):
            return TOO_SHORT
        parts.payload = data + 1
        parts.payload_size = size - 1
        return 0
    if parts.kind == CLOSE_SESSION and size > AFTER_ID:
        return TOO_LONG
    if size < (AFTER_ID + 1 if parts.kind == RESTORE_SESSION else AFTER_ID):
        return TOO_SHORT
    parts.id = read_id(data)
    if parts.kind == RESTORE_SESSION:
        parts.payload = data + AFTER_ID
        parts.payload_size = size - AFTER_ID
    return 0


cdef inline int parse_error(Bytes data, Py_ssize_t size, Parts* parts) noexcept nogil:
    if size < AFTER_ID + 2:
        return TOO_SHORT
    if data[AFTER_ID] == 0:
        return NO_CODE
    parts.id = read_id(data)
    return parse_named(data, size, AFTER_ID, False, 0, parts)


cdef inline int parse_reply(Bytes data, Py_ssize_t size, Parts* parts) noexcept nogil:
    cdef Py_ssize_t begin = AFTER_ID
    if parts.kind == REPLY + UTF16:
        begin += 1
    if size < begin:
        return TOO_SHORT
    if parts.kind == REPLY + UTF16 and size & 1:
        return ODD_LENGTH
    parts.id = read_id(data)
    parts.payload = data + begin
    parts.payload_size = size - begin
    return 0


cdef inline int parse(Bytes data, Py_ssize_t size, Parts* parts) noexcept nogil:
    """Fill *parts*; 0, or what is wrong."""
    cdef int problem, kind
    if size == 0:
        return EMPTY_MESSAGE
    kind = data[0]
    parts.kind = kind
    parts.id = 0
    parts.name = parts.payload = data
    parts.name_size = parts.payload_size = 0
    if REQUEST <= kind <= REQUEST + UTF16:
        problem = parse_named(data, size, AFTER_ID, kind == REQUEST + UTF16, 0, parts)
        if problem == 0:
            parts.id = read_id(data)
        return problem
    if REPLY <= kind <= REPLY + UTF16:
        return parse_reply(data, size, parts)
    if SIGNAL <= kind <= SIGNAL + UTF16:
        return parse_named(
            data, size, 1, kind == SIGNAL + UTF16, 2 if kind == SIGNAL + UTF16 else 0, parts)
    if kind == REPLY_ERROR:
        return parse_error(data, size, parts)
    if (
        kind <= REPLY_SESSIONS_DISABLED or SESSION_CREATED <= kind <= ACCEPT_CONF
        or CLOSE_SESSION <= kind <= HEARTBEAT
    ):
        return parse_fixed(data, size, parts)
    return UNKNOWN_TYPE


cdef inline bint is_reply(int kind) noexcept nogil:
    return kind <= REPLY_SESSIONS_DISABLED or kind >= REPLY


cdef enum:
    NAMES = 64

# The names that came last, each where its bytes say, or NULL: a program has few, and looking one
# up again is quicker than making it, and than hashing it in the dict of handlers. ASCII only.
cdef PyObject* names[NAMES]


cdef inline object make_name(Bytes at, Py_ssize_t size):
    cdef PyObject* known
    cdef unsigned int place
    if size == 0:
        return ""
    place = (
        <unsigned int>size * 31 + at[0] * 7 + at[size >> 1] * 5 + at[size - 1]) % NAMES
    known = names[place]
    if (
        known != NULL and PyUnicode_GET_LENGTH(<object>known) == size
        and memcmp(PyUnicode_DATA(<object>known), at, size) == 0
    ):
        return <object>known
    made = PyUnicode_DecodeLatin1(<const char*>at, size, NULL)
    if PyUnicode_IS_COMPACT_ASCII(made):
        Py_INCREF(made)
        names[place] = <PyObject*>made
        Py_XDECREF(known)
    return made


cdef inline object make_payload(Parts* parts):
    return PyBytes_FromStringAndSize(<const char*>parts.payload, parts.payload_size)


cdef tuple malformed(int problem):
    return (MALFORMED, 0, texts[problem], b"")


cdef inline bint is_text(object message):
    if PyBytes_CheckExact(message):
        return False
    return PyUnicode_Check(message) or isinstance(message, raw_text_class)


def decode_message(message):
    """What *message* says.

    ``(type, id, name, payload)``, where what a message of that type doesn't have is 0, "" and
    b"". An error's code stands in the name's place and its text in the payload's, a key and a
    session's JSON in the payload's; of AcceptConf all behind the type is payload. What is no
    message, a text one among them: ``(MALFORMED, 0, why, b"")``. Names are read as Latin-1,
    which any byte is. Raises TypeError where *message* is neither text nor a buffer, ValueError
    where that isn't one of single bytes.
    """
    cdef Parts parts
    cdef bytes data
    cdef int problem
    if is_text(message):
        return malformed(TEXT_MESSAGE)
    data = as_bytes(message)
    problem = parse(<Bytes>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &parts)
    if problem:
        return malformed(problem)
    return (
        parts.kind, parts.id, make_name(parts.name, parts.name_size), make_payload(&parts))


def decode_messages(messages, CallTable table):
    """What *messages* say, in their order, each as :func:`decode_message` has it.

    Heartbeats are left out. The first one that is malformed is the last item: those behind it
    aren't looked at. With a *table*, replies to calls that are pending in it have the call in
    the id's place, and the call leaves the table; other replies are left out, and counted by
    the table.
    """
    cdef Parts parts
    cdef bytes data
    cdef int problem
    cdef list found = []
    for message in messages:
        if is_text(message):
            PyList_Append(found, malformed(TEXT_MESSAGE))
            break
        data = as_bytes(message)
        problem = parse(<Bytes>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &parts)
        if problem:
            PyList_Append(found, malformed(problem))
            break
        if parts.kind == HEARTBEAT:
            continue
        owner = parts.id
        if table is not None and is_reply(parts.kind):
            owner = table.answer(owner)
            if owner is None:
                continue
        PyList_Append(found, (
            parts.kind, owner, make_name(parts.name, parts.name_size), make_payload(&parts)))
    return found


# --- writing ------------------------------------------------------------------------------


cdef uint64_t as_id(object request_id) except? 0:
    if not PyLong_Check(request_id):
        raise TypeError(f"a request's id must be an int, not {kind_of(request_id)}")
    try:
        return PyLong_AsUnsignedLongLong(request_id)
    except OverflowError:
        raise UnsendableMessage(rules.BAD_ID) from None


cdef int as_encoding(object encoding) except -1:
    if not PyLong_Check(encoding):
        raise TypeError(f"an encoding must be one of Encoding's, not {kind_of(encoding)}")
    cdef uint64_t value
    try:
        value = PyLong_AsUnsignedLongLong(encoding)
    except OverflowError:
        raise UnsendableMessage(rules.BAD_ENCODING) from None
    if value > UTF16:
        raise UnsendableMessage(rules.BAD_ENCODING)
    return <int>value


cdef object exact_text(object name):
    """*name*, which is a str, as one that is of no subclass."""
    return name if PyUnicode_CheckExact(name) else PyUnicode_FromObject(name)


cdef inline bint is_printable(Bytes data, Py_ssize_t size) noexcept nogil:
    cdef unsigned char outside = 0
    cdef Py_ssize_t i
    for i in range(size):
        outside |= <unsigned char>(data[i] - 32) > 94
    return outside == 0


cdef inline int put_name(unsigned char** to, object name) noexcept:
    """Length and text of *name*, an exact str; 0, or what is wrong with it."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(name)
    if size > MAX_NAME:
        return LONG_NAME
    if not PyUnicode_IS_COMPACT_ASCII(name):
        return UNPRINTABLE_NAME
    cdef Bytes data = <Bytes>PyUnicode_DATA(name)
    if not is_printable(data, size):
        return UNPRINTABLE_NAME
    to[0][0] = <unsigned char>size
    memcpy(to[0] + 1, data, size)
    to[0] += 1 + size
    return 0


cdef inline int put_named(
    Prefix* prefix, unsigned char* to, object name, Py_ssize_t payload_size, int encoding
) noexcept:
    """The name at *to*, and padding: the end of a prefix, whose size becomes known by that."""
    cdef int problem = put_name(&to, name)
    if problem:
        return problem
    prefix.size = to - prefix.data
    if payload_size == 0 and PyUnicode_GET_LENGTH(name) == 0:
        return NOTHING
    if encoding == UTF16:
        if payload_size & 1:
            return ODD_PAYLOAD
        if prefix.size & 1:
            to[0] = 0
            prefix.size += 1
    return 0


cdef int begin_request(
    Prefix* prefix, uint64_t request_id, object name, Py_ssize_t payload_size, int encoding
) noexcept:
    prefix.data[0] = <unsigned char>(REQUEST + encoding)
    return put_named(
        prefix, put_id(prefix.data + 1, request_id), name, payload_size, encoding)


cdef int begin_signal(
    Prefix* prefix, object name, Py_ssize_t payload_size, int encoding
) noexcept:
    prefix.data[0] = <unsigned char>(SIGNAL + encoding)
    cdef int problem = put_named(prefix, prefix.data + 1, name, payload_size, encoding)
    if problem == 0 and encoding == UTF16 and payload_size == 0:
        return NAME_ONLY
    return problem


cdef int begin_reply(
    Prefix* prefix, uint64_t request_id, Py_ssize_t payload_size, int encoding
) noexcept:
    prefix.data[0] = <unsigned char>(REPLY + encoding)
    cdef unsigned char* to = put_id(prefix.data + 1, request_id)
    if encoding == UTF16:
        if payload_size & 1:
            return ODD_PAYLOAD
        to[0] = 0
        to += 1
    prefix.size = to - prefix.data
    return 0


cdef int check_text(object text, str what) except -1:
    if not PyUnicode_Check(text):
        raise TypeError(f"a {what} must be a str, not {kind_of(text)}")
    return 0


cdef bytes finish(int problem, Prefix* prefix, bytes payload):
    if problem:
        raise UnsendableMessage(texts[problem])
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
    cdef bytes message = PyBytes_FromStringAndSize(NULL, prefix.size + size)
    cdef char* to = PyBytes_AS_STRING(message)
    memcpy(to, prefix.data, prefix.size)
    memcpy(to + prefix.size, PyBytes_AS_STRING(payload), size)
    return message


def encode_request(request_id, name, payload, encoding):
    """A request; *encoding* tells how *payload* is to be read.

    Raises :class:`~wirecore.errors.UnsendableMessage` for an id outside 0 to 2^64 - 1, a *name*
    that is longer than 255 characters or not printable ASCII, neither name nor payload, UTF-16
    of an odd length, and an unknown encoding; TypeError for other types.
    """
    cdef Prefix prefix
    cdef uint64_t number = as_id(request_id)
    cdef int kind = as_encoding(encoding)
    check_text(name, "name")
    cdef bytes data = as_bytes(payload)
    return finish(
        begin_request(&prefix, number, exact_text(name), PyBytes_GET_SIZE(data), kind),
        &prefix, data)


def encode_signal(name, payload, encoding):
    """A signal. Raises as :func:`encode_request`, and for UTF-16 without payload."""
    cdef Prefix prefix
    cdef int kind = as_encoding(encoding)
    check_text(name, "name")
    cdef bytes data = as_bytes(payload)
    return finish(
        begin_signal(&prefix, exact_text(name), PyBytes_GET_SIZE(data), kind), &prefix, data)


def encode_reply(request_id, payload, encoding):
    """The reply to the request of that id. Raises as :func:`encode_request`."""
    cdef Prefix prefix
    cdef uint64_t number = as_id(request_id)
    cdef int kind = as_encoding(encoding)
    cdef bytes data = as_bytes(payload)
    return finish(
        begin_reply(&prefix, number, PyBytes_GET_SIZE(data), kind), &prefix, data)


def encode_error(request_id, code, text):
    """The reply that says that a request failed; *text*, in UTF-8, may be empty.

    Raises :class:`~wirecore.errors.UnsendableMessage` for an id as :func:`encode_request`, and a
    *code* that is empty, longer than 255 characters or not printable ASCII; TypeError for other
    types.
    """
    cdef Prefix prefix
    cdef uint64_t number = as_id(request_id)
    check_text(code, "code")
    cdef bytes data = as_bytes(text)
    code = exact_text(code)
    cdef int problem = 0
    prefix.data[0] = REPLY_ERROR
    cdef unsigned char* to = put_id(prefix.data + 1, number)
    if PyUnicode_GET_LENGTH(code) == 0:
        problem = EMPTY_CODE
    else:
        problem = put_name(&to, code)
        if problem:
            problem = LONG_CODE if problem == LONG_NAME else UNPRINTABLE_CODE
    prefix.size = to - prefix.data
    return finish(problem, &prefix, data)
