# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The envelope of wsrpc, a small protobuf message: the compiled twin of ``wirecore_py.envelope``.

Source of the layout, smartcontractkit/wsrpc, proto3, package ``message``::

    message Message  { oneof exchange { Request request = 2; Response response = 3; } }
    message Request  { string method = 1; string call_id = 2; bytes payload = 3; }
    message Response { string call_id = 1; bytes payload = 2; string error = 3; }

Bytes are judged as Go's protobuf judges them: unknown fields are skipped, a known one with
another wire type is unknown too, of a scalar given twice the last counts, a member given twice
is merged, and of two different members the last wins.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.list cimport PyList_Append
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from wirecore._calls cimport CallTable

ctypedef const unsigned char* Bytes

cdef enum:
    KIND_EMPTY = 0
    KIND_REQUEST = 1
    KIND_RESPONSE = 2
    KIND_MALFORMED = 3

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    GROUP = 3
    GROUP_END = 4
    FIXED32 = 5

cdef enum:
    MAX_FIELD = (1 << 29) - 1
    MAX_GROUPED_FIELD = 0x7FFFFFFF  # inside unknown groups Go lets int32's pass
    MAX_GROUPS = 10001  # how deep Go's protowire lets unknown groups be nested

#: Neither member is set.
EMPTY = KIND_EMPTY
REQUEST = KIND_REQUEST
RESPONSE = KIND_RESPONSE
#: Not an envelope at all.
MALFORMED = KIND_MALFORMED

cdef str BAD_WIRE = "cannot parse invalid wire-format data"
cdef str BAD_TEXT = "string field contains invalid UTF-8"


# --- reading. A position is NULL once something couldn't be read --------------------------


cdef inline Bytes read_varint(Bytes at, Bytes end, uint64_t* value) noexcept nogil:
    cdef int shift = 0
    cdef unsigned char byte
    if at < end and at[0] < 0x80:
        value[0] = at[0]
        return at + 1
    value[0] = 0
    while at < end:
        byte = at[0]
        at += 1
        if shift == 63 and byte > 1:
            return NULL
        value[0] |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return at
        shift += 7
    return NULL


cdef inline Bytes read_tag(Bytes at, Bytes end, uint64_t largest, uint64_t* tag) noexcept nogil:
    at = read_varint(at, end, tag)
    if at != NULL and 0 < tag[0] >> 3 <= largest:
        return at
    return NULL


cdef inline Bytes read_size(Bytes at, Bytes end, Py_ssize_t* size) noexcept nogil:
    """The length of a length-prefixed value, which begins at the position returned."""
    cdef uint64_t announced
    at = read_varint(at, end, &announced)
    if at == NULL or announced > <uint64_t>(end - at):
        return NULL
    size[0] = <Py_ssize_t>announced
    return at


cdef inline Bytes skip_scalar(Bytes at, Bytes end, int wire_type) noexcept nogil:
    cdef uint64_t value
    cdef Py_ssize_t size
    if wire_type == VARINT:
        return read_varint(at, end, &value)
    if wire_type == BYTES:
        at = read_size(at, end, &size)
    elif wire_type == FIXED64:
        size = 8
    elif wire_type == FIXED32:
        size = 4
    else:
        return NULL
    if at == NULL or size > end - at:
        return NULL
    return at + size


cdef Bytes skip_group(Bytes at, Bytes end, uint32_t number) except? NULL:
    """Past the end of the group that has begun; raises MemoryError."""
    cdef uint64_t tag
    cdef Py_ssize_t depth = 1
    cdef uint32_t* groups = <uint32_t*>PyMem_Malloc(MAX_GROUPS * sizeof(uint32_t))
    if groups == NULL:
        raise MemoryError()
    groups[0] = number
    while depth:
        at = read_tag(at, end, MAX_GROUPED_FIELD, &tag)
        if at == NULL:
            break
        if tag & 7 == GROUP and depth < MAX_GROUPS:
            groups[depth] = <uint32_t>(tag >> 3)
            depth += 1
        elif tag & 7 == GROUP_END and groups[depth - 1] == tag >> 3:
            depth -= 1
        else:
            at = skip_scalar(at, end, tag & 7)
            if at == NULL:
                break
    PyMem_Free(groups)
    return at


cdef inline Bytes skip_value(Bytes at, Bytes end, uint64_t tag) except? NULL:
    if tag & 7 == GROUP:
        return skip_group(at, end, <uint32_t>(tag >> 3))
    return skip_scalar(at, end, tag & 7)


cdef bint is_text(Bytes at, Py_ssize_t size):
    try:
        PyUnicode_DecodeUTF8(<const char*>at, size, NULL)
    except UnicodeDecodeError:
        return False
    return True


cdef inline bint is_payload(int kind, int index) noexcept nogil:
    return index == (2 if kind == KIND_REQUEST else 1)


cdef bint has_bad_text(Fields* fields):
    cdef int index
    for index in range(3):
        if fields.at[index] != NULL and not is_payload(fields.kind, index):
            if not is_text(fields.at[index], fields.size[index]):
                return True
    return False


cdef Bytes parse_member(Bytes at, Bytes end, Fields* fields, bint* bad_text) except? NULL:
    cdef uint64_t tag
    cdef Py_ssize_t size
    cdef int index
    while at < end:
        at = read_tag(at, end, MAX_FIELD, &tag)
        if at == NULL:
            return NULL
        if tag & 7 != BYTES:
            at = skip_value(at, end, tag)
            if at == NULL:
                return NULL
            continue
        at = read_size(at, end, &size)
        if at == NULL:
            return NULL
        if tag >> 3 <= 3:
            index = <int>(tag >> 3) - 1
            # Go checks each string, those too that a later one replaces.
            if fields.at[index] != NULL and not is_payload(fields.kind, index):
                if not is_text(fields.at[index], fields.size[index]):
                    bad_text[0] = True
                    return NULL
            fields.at[index] = at
            fields.size[index] = size
        at += size
    return at


cdef inline void blank(Fields* fields, int kind) noexcept nogil:
    fields.kind = kind
    fields.at[0] = fields.at[1] = fields.at[2] = NULL
    fields.size[0] = fields.size[1] = fields.size[2] = 0


cdef int parse_envelope(Bytes at, Bytes end, Fields* fields) except -1:
    """Fill *fields* and return 0; 1 for invalid wire data, 2 for invalid UTF-8.

    The strings that remain in *fields* aren't checked yet: making objects of them does it.
    """
    cdef uint64_t tag
    cdef Py_ssize_t size
    cdef int kind
    cdef bint bad_text = False
    blank(fields, KIND_EMPTY)
    while at < end:
        at = read_tag(at, end, MAX_FIELD, &tag)
        if at == NULL:
            break
        if tag != REQUEST_TAG and tag != RESPONSE_TAG:
            at = skip_value(at, end, tag)
            if at == NULL:
                break
            continue
        at = read_size(at, end, &size)
        if at == NULL:
            break
        kind = KIND_REQUEST if tag == REQUEST_TAG else KIND_RESPONSE
        if kind != fields.kind:
            if has_bad_text(fields):
                return 2
            blank(fields, kind)
        at = parse_member(at, at + size, fields, &bad_text)
        if at == NULL:
            break
    else:
        return 0
    # Go stops at what is wrong first, which may be a string before the place that can't be read.
    return 2 if bad_text or has_bad_text(fields) else 1


# --- making objects -----------------------------------------------------------------------


cdef inline object make_text(Fields* fields, int index):
    if fields.size[index] == 0:
        return ""
    return PyUnicode_DecodeUTF8(<const char*>fields.at[index], fields.size[index], NULL)


cdef inline object make_bytes(Fields* fields, int index):
    return PyBytes_FromStringAndSize(<const char*>fields.at[index], fields.size[index])


cdef inline bytes as_bytes(object data):
    if PyBytes_Check(data):
        return <bytes>data
    return memoryview(data).tobytes()


def decode_envelope(message):
    """What *message* says.

    ``(REQUEST, method, call_id, payload)``, ``(RESPONSE, call_id, payload, error)``,
    ``(EMPTY,)`` where neither is set, or ``(MALFORMED, why)``. Raises TypeError where *message*
    is no buffer.
    """
    cdef Fields fields
    cdef bytes data = as_bytes(message)
    cdef Bytes begin = <Bytes>PyBytes_AS_STRING(data)
    cdef int problem = parse_envelope(begin, begin + PyBytes_GET_SIZE(data), &fields)
    if problem:
        return (MALFORMED, BAD_TEXT if problem == 2 else BAD_WIRE)
    try:
        if fields.kind == KIND_REQUEST:
            return (
                REQUEST, make_text(&fields, 0), make_text(&fields, 1), make_bytes(&fields, 2))
        if fields.kind == KIND_RESPONSE:
            return (
                RESPONSE, make_text(&fields, 0), make_bytes(&fields, 1), make_text(&fields, 2))
    except UnicodeDecodeError:
        return (MALFORMED, BAD_TEXT)
    return (EMPTY,)


def sort_envelopes(messages, CallTable table not None):
    """What to do with *messages*, in their order.

    Answers to calls that were pending in *table*, which they leave: ``(call, payload, error)``.
    Requests: ``(method, call_id, payload)``. And how many were dropped, malformed or empty;
    *table* counts the answers that nobody waits for.
    """
    cdef Fields fields
    cdef bytes data
    cdef Bytes begin
    cdef list answers = []
    cdef list requests = []
    cdef Py_ssize_t dropped = 0
    for message in messages:
        data = as_bytes(message)
        begin = <Bytes>PyBytes_AS_STRING(data)
        if parse_envelope(begin, begin + PyBytes_GET_SIZE(data), &fields):
            fields.kind = KIND_MALFORMED
        try:
            if fields.kind == KIND_RESPONSE:
                call_id, error = make_text(&fields, 0), make_text(&fields, 2)
                payload = make_bytes(&fields, 1)
                call = table.answer(call_id)
                if call is not None:
                    PyList_Append(answers, (call, payload, error))
            elif fields.kind == KIND_REQUEST:
                PyList_Append(
                    requests,
                    (make_text(&fields, 0), make_text(&fields, 1), make_bytes(&fields, 2)))
            else:
                dropped += 1
        except UnicodeDecodeError:
            dropped += 1
    return answers, requests, dropped


# --- writing ------------------------------------------------------------------------------


cdef inline Py_ssize_t varint_size(uint64_t value) noexcept nogil:
    cdef Py_ssize_t size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size


cdef inline unsigned char* write_varint(unsigned char* to, uint64_t value) noexcept nogil:
    while value > 0x7F:
        to[0] = <unsigned char>(value & 0x7F | 0x80)
        to += 1
        value >>= 7
    to[0] = <unsigned char>value
    return to + 1


cdef inline Py_ssize_t field_size(Py_ssize_t size) noexcept nogil:
    return 1 + varint_size(size) + size if size else 0


cdef inline unsigned char* write_field(
    unsigned char* to, int number, const char* value, Py_ssize_t size
) noexcept nogil:
    if size == 0:
        return to
    to[0] = <unsigned char>(number << 3 | BYTES)
    to = write_varint(to + 1, size)
    memcpy(to, value, size)
    return to + size


cdef bytes encode_member(
    unsigned char tag,
    const char* first, Py_ssize_t first_size,
    const char* second, Py_ssize_t second_size,
    const char* third, Py_ssize_t third_size,
):
    cdef Py_ssize_t inner = field_size(first_size) + field_size(second_size) + field_size(third_size)
    # Unlike a field, a member is written even where it is empty: which one it is says it all.
    cdef bytes message = PyBytes_FromStringAndSize(NULL, 1 + varint_size(inner) + inner)
    cdef unsigned char* to = <unsigned char*>PyBytes_AS_STRING(message)
    to[0] = tag
    to = write_varint(to + 1, inner)
    to = write_field(to, 1, first, first_size)
    to = write_field(to, 2, second, second_size)
    write_field(to, 3, third, third_size)
    return message


def encode_request(str method not None, str call_id not None, payload):
    """The envelope of a call; empty fields aren't written.

    Raises UnicodeEncodeError where *method* or *call_id* holds a surrogate, and TypeError for
    other types.
    """
    cdef Py_ssize_t method_size, id_size
    cdef const char* method_text = PyUnicode_AsUTF8AndSize(method, &method_size)
    cdef const char* id_text = PyUnicode_AsUTF8AndSize(call_id, &id_size)
    cdef bytes data = as_bytes(payload)
    return encode_member(
        REQUEST_TAG, method_text, method_size, id_text, id_size,
        PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def encode_response(str call_id not None, payload, str error not None=""):
    """The envelope of an answer; an empty *error* is a success.

    Raises UnicodeEncodeError where *call_id* or *error* holds a surrogate, and TypeError for
    other types.
    """
    cdef Py_ssize_t id_size, error_size
    cdef const char* id_text = PyUnicode_AsUTF8AndSize(call_id, &id_size)
    cdef const char* error_text = PyUnicode_AsUTF8AndSize(error, &error_size)
    cdef bytes data = as_bytes(payload)
    return encode_member(
        RESPONSE_TAG, id_text, id_size, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data),
        error_text, error_size)
