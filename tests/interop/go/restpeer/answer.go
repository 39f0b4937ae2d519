package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// unchunked is how much of a body is kept before its head goes out without a length.
const unchunked = 2048

// undeclarable are the fields that can be no trailers.
var undeclarable = map[string]bool{
	"Content-Length": true, "Transfer-Encoding": true, "Trailer": true,
}

// answer is the response that a handler writes. What it makes of it goes into one message, and
// into another one after each flush.
type answer struct {
	link    *link
	request *http.Request
	fields  http.Header // the handler's to change, for trailers to the end

	head     http.Header // as the fields were at WriteHeader; nil before
	status   int
	length   int64 // declared or computed, or -1
	written  int64
	trailers []string
	sent     bool // the head
	chunked  bool
	finished bool // the handler
	passed   int64
	// complete is set before the last byte goes out: the peer may send its next request then.
	complete atomic.Bool

	body    *bufio.Writer
	message io.WriteCloser // nil: none is open
}

func newAnswer(l *link, request *http.Request) *answer {
	a := &answer{link: l, request: request, fields: http.Header{}, length: -1}
	a.body = bufio.NewWriterSize(pieces{a}, unchunked)
	return a
}

// open begins a message at once, unless it might stay empty and mustn't.
func (a *answer) open() {
	if !a.link.opts.noEmpty {
		a.begin()
	}
}

func (a *answer) begin() {
	a.message, _ = a.link.open(websocket.TextMessage)
}

// raw writes to the message. What fails is a connection that is gone: its reader tells.
func (a *answer) raw(data []byte) {
	if len(data) == 0 {
		return
	}
	if a.message == nil {
		a.begin()
	}
	if a.message != nil {
		a.message.Write(data)
	}
}

func (a *answer) closeMessage() {
	if a.message != nil {
		a.message.Close()
		a.message = nil
	}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.fields }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.head != nil {
		return
	}
	a.status, a.head = status, a.fields.Clone()
	if text := a.head.Get("Content-Length"); text != "" {
		length, err := strconv.ParseInt(text, 10, 64)
		if err == nil && length >= 0 {
			a.length = length
		} else {
			a.head.Del("Content-Length")
		}
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if len(data) == 0 {
		return 0, nil
	}
	if !hasBody(a.status) {
		return 0, http.ErrBodyNotAllowed
	}
	a.written += int64(len(data))
	if a.length >= 0 && a.written > a.length {
		return 0, http.ErrContentLength
	}
	return a.body.Write(data)
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	a.WriteHeader(http.StatusOK)
	a.body.Flush()
	a.sendHead(nil)
	a.closeMessage()
	a.open()
}

// Gone is closed when the peer has gone.
func (a *answer) Gone() <-chan struct{} { return a.link.gone }

// finish sends what is left once the handler is done.
func (a *answer) finish() {
	a.finished = true
	a.complete.Store(true)
	a.WriteHeader(http.StatusOK)
	a.body.Flush()
	a.sendHead(nil)
	if a.chunked {
		a.raw([]byte("0\r\n"))
		late := http.Header{}
		for _, name := range a.trailers {
			if values := a.fields[name]; len(values) > 0 {
				late[name] = values
			}
		}
		var text strings.Builder
		late.Write(&text)
		a.raw([]byte(text.String()))
		a.raw([]byte("\r\n"))
	}
	a.closeMessage()
}

// pieces take what the buffer of a body lets go.
type pieces struct{ answer *answer }

func (p pieces) Write(data []byte) (int, error) {
	a := p.answer
	a.sendHead(data)
	a.passed += int64(len(data))
	if a.passed == a.length {
		a.complete.Store(true)
	}
	switch {
	case a.request.Method == http.MethodHead:
	case a.chunked:
		// Three writes: a large one makes a frame of its own at a server.
		a.raw(fmt.Appendf(nil, "%x\r\n", len(data)))
		a.raw(data)
		a.raw([]byte("\r\n"))
	default:
		a.raw(data)
	}
	return len(data), nil
}

// sendHead sends the head, unless it is out; first is the body's first piece, or nil.
func (a *answer) sendHead(first []byte) {
	if a.sent {
		return
	}
	a.sent = true
	head, withBody := a.head, hasBody(a.status)
	isHead := a.request.Method == http.MethodHead
	modern := a.request.ProtoAtLeast(1, 1)
	a.declareTrailers()
	coding := head.Get("Transfer-Encoding")
	var added strings.Builder
	add := func(name, value string) { fmt.Fprintf(&added, "%s: %s\r\n", name, value) }

	if _, set := head["Date"]; !set {
		add("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if a.finished && withBody && a.length < 0 && coding == "" && len(head["Trailer"]) == 0 &&
		(!isHead || len(first) > 0) {
		a.length = int64(len(first))
		add("Content-Length", strconv.Itoa(len(first)))
	}
	if _, set := head["Content-Type"]; withBody && !set && coding == "" {
		add("Content-Type", http.DetectContentType(first))
	}
	switch {
	case !withBody:
		head.Del("Content-Length")
		head.Del("Transfer-Encoding")
		if a.status == http.StatusNotModified {
			head.Del("Content-Type")
		}
	case isHead:
		// Nothing follows the head.
	case a.length >= 0 || !modern:
		head.Del("Transfer-Encoding")
	case coding != "identity":
		a.chunked = true
		head.Del("Transfer-Encoding")
		add("Transfer-Encoding", "chunked")
	}
	if id := a.request.Header.Get("X-Correlation-Id"); id != "" {
		add("X-Correlation-Id", id)
	}

	if isHead || !withBody {
		a.complete.Store(true)
	}
	var text strings.Builder
	text.WriteString(statusLine(modern, a.status))
	head.Write(&text)
	text.WriteString(added.String())
	text.WriteString("\r\n")
	a.raw([]byte(text.String()))
}

func (a *answer) declareTrailers() {
	for _, value := range a.head["Trailer"] {
		for _, name := range strings.Split(value, ",") {
			name = http.CanonicalHeaderKey(textproto.TrimString(name))
			if name != "" && !undeclarable[name] {
				a.trailers = append(a.trailers, name)
			}
		}
	}
}

func statusLine(modern bool, status int) string {
	version, text := "HTTP/1.0", http.StatusText(status)
	if modern {
		version = "HTTP/1.1"
	}
	if text == "" {
		text = fmt.Sprintf("status code %d", status)
	}
	return fmt.Sprintf("%s %03d %s\r\n", version, status, text)
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
