# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Calls of JSON-RPC as Go writes them, read in one step.

For what is usual: Go's order of members, no spaces, no escapes, values as their types say. All
else goes the long way (``wirecore.gojson``), where it has its error; nothing was
read or written then. Twin of ``wirecore_py.json_calls``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_Append, PyList_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

from wirecore._calls cimport answer_to, call_of
from wirecore._making cimport answer_of, bare, request_of
from wirecore._waiting cimport annotation_of

from math import isfinite

from wirecore.gob_rules import MADE

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyObject_GenericSetAttr(object made, object name, object value) except -1

ctypedef const unsigned char* Bytes

cdef enum:
    DIGITS = 18  # of numbers that fit into 64 bits, whatever they are
    DEPTH = 2  # of values in messages
    WRAPPING = 4  # brackets and commas around a value, at most
    LONGEST_FLOAT = 40

cdef object MADE_LATER = MADE
cdef object NOTHING = object()

cdef bytes BEGIN_CALL = b'{"method":"'
cdef bytes PARAMS = b'","params":['
cdef bytes CALL_ID = b'],"id":'
cdef bytes BEGIN_ANSWER = b'{"id":'
cdef bytes RESULT = b',"result":'
cdef bytes NO_ERROR = b',"error":null}'


cdef class JsonPlan:
    """How a usual value of a type is read and written. Whoever makes one sets what its kind needs.

    *names* are the attributes of a struct's *fields*, *places* finds these by their names in JSON,
    *heads* are those names as they are written. *build* makes a struct of its values in order;
    None: setting them does. *template* has them where none come, or MADE and then *factories* its
    maker.
    """


    def __init__(self, int kind):
        self.kind = kind
        self.fields = []
        self.names = []
        self.heads = []
        self.places = {}
        self.template = []
        self.factories = []


cdef JsonPlan PLAIN = JsonPlan(INTERFACE)


cdef class JsonReader:
    """Reads messages in bytes that came. *plan_of* finds plans of annotations: None has none.

    The bounds are those of a message, as the long way has them.
    """

    cdef object plan_of
    cdef Py_ssize_t max_size
    cdef Py_ssize_t max_depth
    cdef Py_ssize_t max_elements
    cdef Py_ssize_t elements
    # Where it reads.
    cdef Bytes data
    cdef Py_ssize_t at
    cdef Py_ssize_t end
    cdef bint fraction  # the last float was written as one
    cdef object last_annotation
    cdef object last_plan
    cdef object last_method

    def __init__(self, plan_of, Py_ssize_t max_size, Py_ssize_t max_depth, Py_ssize_t max_elements):
        self.plan_of = plan_of
        self.max_size = max_size
        self.max_depth = min(max_depth, DEEPEST)
        self.max_elements = max_elements
        self.last_annotation = NOTHING
        self.last_method = ""

    def answers(self, bytes data not None, Py_ssize_t at, table, found, Py_ssize_t most, make):
        """Add the answers from *at* on to *found*, until it has *most*; their calls leave *table*.

        Each is a *make*, a class of tuples, of the call, the result and None. It stops before an
        answer that isn't usual, that tells an error or that nobody waits for: returned is where.
        """
        cdef int64_t seq
        while PyList_GET_SIZE(found) < most and self.begin(data, at):
            if not self.literal(BEGIN_ANSWER) or not self.number(&seq) or seq < 0:
                break
            if not self.literal(RESULT):
                break
            number = seq
            call = call_of(table, number)
            if call is None or self.find_plan(annotation_of(call)) is None:
                break
            result = self.read(<JsonPlan>self.last_plan)
            if result is NOTHING or result is None or not self.literal(NO_ERROR):
                break
            if self.at - at > self.max_size:
                break
            at = self.at
            answer_to(table, number)
            PyList_Append(found, answer_of(make, call, result))
        return at

    def requests(
        self, bytes data not None, Py_ssize_t at, find, found, Py_ssize_t most, Py_ssize_t left,
        make, make_request
    ):
        """Add the requests from *at* on to *found*, until it has *most*.

        Each is a *make* of a *make_request* of its id, as bytes, and method, of what *find* gives
        for the method, the argument, and its bytes: *left* are those from *at* to the end, and
        those before that weren't counted. It stops before a request that isn't usual, or whose
        method *find* answers with a str. Returned are where it stopped, and what *find* gave for
        the request there, if it was asked for that.
        """
        cdef int64_t number
        cdef Py_ssize_t begin, taken
        cdef Py_ssize_t before = left - (PyBytes_GET_SIZE(data) - at)
        while PyList_GET_SIZE(found) < most:
            if not self.begin(data, at) or not self.literal(BEGIN_CALL):
                break
            method = self.method()
            if method is NOTHING or not self.literal(PARAMS):
                break
            target = find(method)
            if isinstance(target, str) or self.find_plan(target.argument) is None:
                return at, target
            argument = self.read(<JsonPlan>self.last_plan)
            if argument is NOTHING or not self.literal(CALL_ID):
                return at, target
            begin = self.at
            if not self.number(&number) or self.at == self.end or self.data[self.at] != 125:
                return at, target
            call_id = PyBytes_FromStringAndSize(<const char*>self.data + begin, self.at - begin)
            self.at += 1
            if self.at - at > self.max_size:
                return at, target
            taken = self.at - at + before
            before = 0
            at = self.at
            PyList_Append(
                found, request_of(make, make_request, call_id, method, target, argument, taken)
            )
        return at, None

    cdef object find_plan(self, annotation):
        if annotation is not self.last_annotation:
            self.last_plan = self.plan_of(annotation)
            self.last_annotation = annotation
        return self.last_plan

    # --- text ---

    cdef bint begin(self, bytes data, Py_ssize_t at) noexcept:
        """Whether there is anything from *at* on, behind spaces."""
        self.data = <Bytes>PyBytes_AS_STRING(data)
        self.end = PyBytes_GET_SIZE(data)
        while at < self.end and is_space(self.data[at]):
            at += 1
        self.at = at
        self.elements = WRAPPING
        return at < self.end and WRAPPING <= self.max_elements and DEPTH <= self.max_depth

    cdef inline bint literal(self, bytes wanted) noexcept:
        """Whether *wanted* comes next, which then is behind."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(wanted)
        if self.end - self.at < size:
            return False
        if memcmp(self.data + self.at, PyBytes_AS_STRING(wanted), size):
            return False
        self.at += size
        return True

    cdef inline unsigned char peek(self) noexcept:
        return self.data[self.at] if self.at < self.end else 0

    cdef bint number(self, int64_t* found) noexcept:
        """Whether a whole number comes next that is usual: not -0, and not long."""
        cdef bint negative = self.peek() == 45  # -
        cdef Py_ssize_t begin = self.at + negative
        cdef Py_ssize_t at = begin
        cdef int64_t value = 0
        while at < self.end and 48 <= self.data[at] <= 57:
            if at - begin == DIGITS:
                return False
            value = value * 10 + (self.data[at] - 48)
            at += 1
        if at == begin or at == self.end:
            return False
        if self.data[begin] == 48 and (at - begin > 1 or negative):
            return False
        if self.data[at] in (46, 69, 101):  # . E e
            return False
        self.at = at
        found[0] = -value if negative else value
        return True

    cdef object method(self):
        """The text up to the next quote, which comes next then."""
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(self.last_method)
        if (
            self.end - self.at > size
            and self.data[self.at + size] == 34
            and memcmp(self.data + self.at, PyUnicode_DATA(self.last_method), size) == 0
        ):
            self.at += size
            return self.last_method
        found = self.text()
        if found is not NOTHING:
            self.at -= 1
            if PyUnicode_IS_COMPACT_ASCII(found):
                self.last_method = found
        return found

    cdef object text(self):
        """A text whose first quote is behind; NOTHING: it isn't usual."""
        cdef Py_ssize_t begin = self.at
        cdef Py_ssize_t at = begin
        cdef Bytes data = self.data
        while at < self.end and data[at] != 34:
            if data[at] < 0x20 or data[at] == 92:
                return NOTHING
            at += 1
        if at == self.end:
            return NOTHING
        self.at = at + 1
        try:
            return PyUnicode_DecodeUTF8(<const char*>data + begin, at - begin, NULL)
        except UnicodeDecodeError:
            return NOTHING

    # --- values: NOTHING where one isn't usual ---

    cdef object read(self, JsonPlan plan):
        try:
            return self.value(plan, DEPTH)
        except Exception:
            return NOTHING  # a class of the program's: the long way hears of it again

    cdef bint counts(self, Py_ssize_t count) noexcept:
        self.elements += count
        return self.elements <= self.max_elements

    cdef object value(self, JsonPlan plan, Py_ssize_t depth):
        cdef int kind = plan.kind
        cdef int64_t number
        cdef unsigned char first = self.peek()
        if kind == INT:
            if self.number(&number) and plan.low <= number <= <int64_t>plan.high:
                return number
            return NOTHING
        if kind == UINT:
            if self.number(&number) and number >= 0 and <uint64_t>number <= plan.high:
                return number
            return NOTHING
        if kind == STRING:
            if first != 34:
                return NOTHING
            self.at += 1
            return self.text()
        if kind == STRUCT:
            return self.struct(plan, depth + 1)
        if kind == BOOL:
            return self.truth()
        if kind == FLOAT:
            return self.real()
        if kind == SLICE:
            return self.slice(plan, depth + 1)
        if kind == MAP:
            return self.map(plan, depth + 1)
        if first == 110:  # null
            return None if self.literal(b"null") else NOTHING
        if kind == POINTER:
            return self.value(plan.elem, depth)
        if kind == INTERFACE:
            return self.plain(first, depth)
        return NOTHING

    cdef object truth(self):
        if self.literal(b"true"):
            return True
        return False if self.literal(b"false") else NOTHING

    cdef object plain(self, unsigned char first, Py_ssize_t depth):
        cdef int64_t number
        if first == 34:
            self.at += 1
            return self.text()
        if first == 123:
            return self.map(PLAIN, depth + 1)
        if first == 91:
            return self.slice(PLAIN, depth + 1)
        if first == 116 or first == 102:
            return self.truth()
        if self.number(&number):
            return number
        found = self.real()
        return found if self.fraction else NOTHING  # a long int, or -0

    cdef object real(self):
        """A number as a float: within JSON's grammar, and finite."""
        cdef Py_ssize_t begin = self.at
        cdef Py_ssize_t at = begin
        cdef Py_ssize_t digits
        self.fraction = False
        if self.peek() == 45:
            at += 1
        digits = at
        at = self.skip_digits(at)
        if at == digits or (self.data[digits] == 48 and at - digits > 1):
            return NOTHING
        if at < self.end and self.data[at] == 46:
            self.fraction = True
            digits = at + 1
            at = self.skip_digits(digits)
            if at == digits:
                return NOTHING
        if at < self.end and self.data[at] in (69, 101):
            self.fraction = True
            at += 1
            if at < self.end and self.data[at] in (43, 45):
                at += 1
            digits = at
            at = self.skip_digits(digits)
            if at == digits:
                return NOTHING
        if at == self.end or at - begin > LONGEST_FLOAT:
            return NOTHING
        found = float(PyBytes_FromStringAndSize(<const char*>self.data + begin, at - begin))
        if not isfinite(found):
            return NOTHING
        self.at = at
        return found

    cdef Py_ssize_t skip_digits(self, Py_ssize_t at) noexcept:
        while at < self.end and 48 <= self.data[at] <= 57:
            at += 1
        return at

    cdef bint more(self, unsigned char closing, bint first, bint* failed) noexcept:
        """Whether an element or member comes next, of those that *closing* ends."""
        cdef unsigned char mark = self.peek()
        if mark == closing:
            self.at += 1
            return False
        if not first:
            if mark != 44 or not self.counts(1):
                failed[0] = True
                return False
            self.at += 1
        return True

    cdef bint open(self, unsigned char opening, Py_ssize_t depth) noexcept:
        if self.peek() != opening or depth > self.max_depth or not self.counts(1):
            return False
        self.at += 1
        return True

    cdef object slice(self, JsonPlan plan, Py_ssize_t depth):
        cdef bint failed = False
        cdef JsonPlan elem = PLAIN if plan is PLAIN else plan.elem
        cdef list found = []
        if not self.open(91, depth):
            return NOTHING
        while self.more(93, not found, &failed):
            item = self.value(elem, depth)
            if item is NOTHING:
                return NOTHING
            found.append(item)
        if failed:
            return NOTHING
        return tuple(found) if plan.frozen else found

    cdef object name(self):
        """The name of a member, and its colon."""
        if self.peek() != 34:
            return NOTHING
        self.at += 1
        found = self.text()
        if self.peek() != 58:
            return NOTHING
        self.at += 1
        return found

    cdef object map(self, JsonPlan plan, Py_ssize_t depth):
        cdef bint failed = False
        cdef bint first = True
        cdef JsonPlan elem = PLAIN if plan is PLAIN else plan.elem
        cdef dict found = {}
        if not self.open(123, depth):
            return NOTHING
        while self.more(125, first, &failed):
            first = False
            name = self.name()
            if name is NOTHING:
                return NOTHING
            item = self.value(elem, depth)
            if item is NOTHING:
                return NOTHING
            found[name] = item
        return NOTHING if failed else found

    cdef object struct(self, JsonPlan plan, Py_ssize_t depth):
        cdef bint failed = False
        cdef Py_ssize_t count = PyList_GET_SIZE(plan.fields)
        cdef Py_ssize_t i
        cdef Py_ssize_t expected = 0
        cdef bytes head
        cdef list values = plan.template[:]
        if not self.open(123, depth) or not self.counts(count):
            return NOTHING
        while self.more(125, expected == 0, &failed):
            # Mostly they come in the order of the fields.
            i = expected
            if i >= count or not self.literal(<bytes>plan.heads[i]):
                name = self.name()
                place = plan.places.get(name) if name is not NOTHING else None
                if place is None:
                    return NOTHING
                i = place
            item = self.value(<JsonPlan>plan.fields[i], depth)
            if item is NOTHING:
                return NOTHING
            values[i] = item
            expected = i + 1
        if failed:
            return NOTHING
        for i in range(count):
            if values[i] is MADE_LATER:
                values[i] = plan.factories[i]()
        if plan.build is not None:
            return plan.build(*values)
        made = bare(plan.owner)
        for i in range(count):
            PyObject_GenericSetAttr(made, plan.names[i], values[i])
        return made


cdef inline bint is_space(unsigned char mark) noexcept:
    return mark == 32 or 9 <= mark <= 10 or mark == 13
