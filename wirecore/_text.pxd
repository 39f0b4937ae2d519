# cython: language_level=3
"""Strings made of the payloads of text frames."""

from cpython.object cimport PyTypeObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t

from wirecore._mask cimport xor_copy

cdef extern from *:
    """
    #ifndef WIRECORE_TEXT
    #define WIRECORE_TEXT
    /* An instance of a subclass of bytes, to be filled, as bytes itself makes them for its
       subclasses; through the constructor it is five times as slow. */
    static inline PyObject *wirecore_new_bytes_of(PyTypeObject *type, Py_ssize_t size)
    {
        PyObject *made = type->tp_alloc(type, size);
    #if defined(__GNUC__)
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #elif defined(_MSC_VER)
    #pragma warning(push)
    #pragma warning(disable: 4996)
    #endif
        if (made != NULL)
            ((PyBytesObject *)made)->ob_shash = -1; /* no hash yet */
    #if defined(__GNUC__)
    #pragma GCC diagnostic pop
    #elif defined(_MSC_VER)
    #pragma warning(pop)
    #endif
        return made;
    }
    #endif
    """
    # `kind` is a subclass of bytes with no slots and no __dict__.
    object new_bytes_of "wirecore_new_bytes_of"(PyTypeObject* kind, Py_ssize_t size)

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void* PyUnicode_DATA(object text)


cdef inline object decode_text(const unsigned char* data, Py_ssize_t size):
    """*data* as text, or None where it isn't UTF-8."""
    try:
        return PyUnicode_DecodeUTF8(<const char*>data, size, NULL)
    except UnicodeDecodeError:
        return None


cdef inline object decode_masked_text(const unsigned char* data, Py_ssize_t size, uint32_t key):
    """The same of masked *data*.

    It is unmasked into a new string as if it were ASCII: nearly always it is, and that was all.
    """
    text = PyUnicode_New(size, 127)
    cdef unsigned char* room = <unsigned char*>PyUnicode_DATA(text)
    cdef uint64_t seen = xor_copy(room, data, size, key)
    # Python shares the strings of one character, so those must be made by it.
    if size == 1 or seen & <uint64_t>0x8080808080808080:
        return decode_text(room, size)
    return text
