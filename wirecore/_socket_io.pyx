# cython: language_level=3, auto_pickle=False
"""A socket's bytes, in and out without waiting: twin of ``wirecore_py.socket_io``.

The system is asked right here: the standard library's sockets take as long again to read their
arguments, and raise where there is nothing to read.
"""

from cpython.buffer cimport PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno

from wirecore._buffer cimport open_buffer


cdef extern from *:
    """
    #ifdef _WIN32
    /* Its sockets are no numbers of files: the standard library's way is taken. */
    #define WIRECORE_DIRECT 0
    static Py_ssize_t wirecore_recv(int fd, void *to, size_t size) { return -1; }
    static Py_ssize_t wirecore_send(int fd, const void *data, size_t size) { return -1; }
    static int wirecore_in_vain(void) { return 0; }
    #else
    #define WIRECORE_DIRECT 1
    #include <errno.h>
    #include <sys/socket.h>
    #include <sys/types.h>
    static Py_ssize_t wirecore_recv(int fd, void *to, size_t size) {
        return recv(fd, to, size, 0);
    }
    static Py_ssize_t wirecore_send(int fd, const void *data, size_t size) {
        return send(fd, data, size, 0);
    }
    static int wirecore_in_vain(void) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    #endif
    """
    const bint WIRECORE_DIRECT
    Py_ssize_t wirecore_recv(int fd, void* to, size_t size) nogil
    Py_ssize_t wirecore_send(int fd, const void* data, size_t size) nogil
    bint wirecore_in_vain() nogil


# What takes some microseconds at most keeps the GIL: a thread that computes, once it has got that,
# has it for 5 ms (sys.setswitchinterval).
cdef enum:
    SHORT_RECEIVE = 65536
    SHORT_SEND = 4096


cdef class SocketIO:
    """*socket* doesn't block; it belongs to this from now on.

    *number*: what the system calls it, where that may be asked directly; below 0: the socket has
    to be asked itself. *owes*: False, as nothing is kept here. Who derives has ``_failed(error)``,
    which raises for an OSError of the socket's, and calls :meth:`_let_go` before he closes it.
    """

    def __cinit__(self):
        self._fd = -1

    def __init__(self, socket not None, int number):
        self.socket = socket
        self._closed = self.owes = False
        self._fd = number if WIRECORE_DIRECT else -1

    cpdef object try_recv_into(self, buffer):
        """Bytes read into *buffer* now; 0 at the end of the stream, None if there are none yet."""
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef int fd = self._fd
        if fd < 0:
            return self._recv_by_socket(buffer)
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            if view.len <= SHORT_RECEIVE:
                size = wirecore_recv(fd, view.buf, view.len)
            else:
                with nogil:
                    size = wirecore_recv(fd, view.buf, view.len)
            if size < 0:
                if wirecore_in_vain():
                    return None
                self._fail()
        finally:
            PyBuffer_Release(&view)
        return size

    cpdef object try_send(self, data):
        """How many bytes of *data* the system took, 0 if it takes none now."""
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef int fd = self._fd
        if fd < 0:
            return self._send_by_socket(data)
        if PyBytes_CheckExact(data):
            size = self._send(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        else:
            open_buffer(data, &view)
            try:
                size = self._send(fd, view.buf, view.len)
            finally:
                PyBuffer_Release(&view)
        return size

    cdef Py_ssize_t _send(self, int fd, const void* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t sent
        if size <= SHORT_SEND:
            sent = wirecore_send(fd, data, size)
        else:
            with nogil:
                sent = wirecore_send(fd, data, size)
        if sent < 0:
            if wirecore_in_vain():
                return 0
            self._fail()
        return sent

    def _let_go(self):
        """The socket is about to be closed; False where it was already."""
        if self._closed:
            return False
        self._closed = True
        self._fd = -1
        return True

    cdef object _recv_by_socket(self, buffer):
        try:
            return self.socket.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            return self._failed(error)

    cdef object _send_by_socket(self, data):
        try:
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            return self._failed(error)

    cdef object _fail(self):
        """Raise for what the system said last."""
        try:
            PyErr_SetFromErrno(OSError)
        except OSError as error:
            self._failed(error)

    def _failed(self, error):
        """See the class."""
        raise NotImplementedError
