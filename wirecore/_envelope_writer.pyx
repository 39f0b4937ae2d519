# cython: language_level=3, boundscheck=False, wraparound=False
"""Short requests and answers of wsrpc, in one step: twin of ``wirecore_py.envelope_writer``."""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_AsUTF8AndSize

from wirecore._calls cimport CallTable
from wirecore._encode cimport BINARY, FIN, head_size, write_frame
from wirecore._entropy cimport fill_random
from wirecore._envelope cimport REQUEST_TAG, RESPONSE_TAG, encode_member
from wirecore._outbox cimport Outbox

cdef enum:
    # What an envelope may take beside its payload and method: four tags, four lengths of at most
    # 5 bytes, and an id of 36 characters.
    AROUND = 64


cdef class EnvelopeWriter:
    """Makes the envelopes of *table*'s calls, and of answers, and frames of them for *outbox*.

    It is for what is usual: who gets 0 from it, and has nothing queued then, goes the long way,
    where all that can be wrong has its error. *masked*: whether this is the client's end.
    *largest*: no longer envelope is taken, so that each is one frame. *max_queued*: none is
    while more bytes than that wait in *outbox*.
    """

    cdef CallTable _table
    cdef Outbox _outbox
    cdef bint _masked
    cdef Py_ssize_t _largest
    cdef Py_ssize_t _max_queued

    def __init__(
        self, CallTable table not None, Outbox outbox not None, *, bint masked,
        Py_ssize_t largest, Py_ssize_t max_queued,
    ):
        self._table = table
        self._outbox = outbox
        self._masked = masked
        self._largest = largest
        self._max_queued = max_queued

    def request(self, call, str method not None, payload):
        """Open *call* and queue its request: where that ends in the outbox's data lane.

        *call* gets its ``call_id``, as the table makes them. Raises as the table's ``open``, and
        UnicodeEncodeError for a *method* that can't be encoded; nothing is queued then.
        """
        cdef Py_ssize_t method_size, id_size
        cdef const char* method_text
        cdef const char* id_text
        if not self._takes(payload, 4 * len(method)):
            return 0
        call_id = self._table.open(call)
        try:
            method_text = PyUnicode_AsUTF8AndSize(method, &method_size)
            id_text = PyUnicode_AsUTF8AndSize(call_id, &id_size)
            frame = self._frame(encode_member(
                REQUEST_TAG, method_text, method_size, id_text, id_size,
                PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)))
            call.call_id = call_id
        except BaseException:
            self._table.forget(call_id)
            raise
        return self._outbox.put(frame)

    def response(self, str call_id not None, payload):
        """Queue an answer: where that ends in the outbox's data lane.

        Raises UnicodeEncodeError for a *call_id* that can't be encoded.
        """
        cdef Py_ssize_t id_size
        cdef const char* id_text
        if not self._takes(payload, 4 * len(call_id)):
            return 0
        id_text = PyUnicode_AsUTF8AndSize(call_id, &id_size)
        return self._outbox.put(self._frame(encode_member(
            RESPONSE_TAG, id_text, id_size,
            PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), NULL, 0)))

    cdef bint _takes(self, object payload, Py_ssize_t text) noexcept:
        return (
            PyBytes_CheckExact(payload)
            and PyBytes_GET_SIZE(payload) + text + AROUND <= self._largest
            and self._outbox.pending <= self._max_queued
        )

    cdef object _frame(self, bytes envelope):
        cdef unsigned char key[4]
        cdef Py_ssize_t size = PyBytes_GET_SIZE(envelope)
        frame = PyBytes_FromStringAndSize(NULL, head_size(size, self._masked) + size)
        if self._masked:
            fill_random(key, 4)
        write_frame(
            <unsigned char*>PyBytes_AS_STRING(frame), FIN | BINARY,
            <const unsigned char*>PyBytes_AS_STRING(envelope), size, key if self._masked else NULL,
        )
        return frame
