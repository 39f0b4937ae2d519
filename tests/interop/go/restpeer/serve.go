package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"wirecore.test/peers/events"
)

// kept is a request's message until it is cut off: from then on there is only what a buffer has of
// it, as the next message is being read from the same connection.
type kept struct {
	message io.Reader
	cut     atomic.Bool
}

func (k *kept) Read(buffer []byte) (int, error) {
	if k.cut.Load() {
		return 0, io.EOF
	}
	return k.message.Read(buffer)
}

// noted is a request's body that keeps the first failure: later reads needn't repeat it.
type noted struct {
	io.ReadCloser
	failure error
}

func (n *noted) Read(buffer []byte) (int, error) {
	size, err := n.ReadCloser.Read(buffer)
	if err != nil && err != io.EOF && n.failure == nil {
		n.failure = err
	}
	return size, err
}

// keep is the message as it is to be read: all of it in memory with --whole-bodies.
func (l *link) keep(message io.Reader) (io.Reader, error) {
	if !l.opts.wholeBodies {
		return message, nil
	}
	data, err := io.ReadAll(message)
	if err != nil {
		l.end(err)
	}
	return bytes.NewReader(data), err
}

// serve answers requests until the connection ends, or until what comes is none: then it reads no
// more, and the connection stays as it is.
func (l *link) serve() {
	var last *answer
	idle := make(chan struct{}) // closed when the last request is through
	close(idle)
	for {
		message, err := l.nextReader()
		if err != nil {
			return
		}
		if message, err = l.keep(message); err != nil {
			return
		}
		source := &kept{message: message}
		buffer := bufio.NewReader(source)
		request, err := http.ReadRequest(buffer)
		if err != nil {
			l.violation("no request: %v", err)
			return
		}
		source.cut.Store(!l.opts.wholeBodies)
		if last != nil && !last.complete.Load() {
			l.violation("a request while one is under way")
		}
		l.report.Emit("request", events.Fields{
			"id": l.id, "method": request.Method, "path": request.RequestURI,
			"headers": pairs(request.Header), "host": request.Host,
			"correlation": request.Header.Get("X-Correlation-Id"),
		})
		last = newAnswer(l, request)
		if !l.opts.queue {
			last.open() // already now, which ends the message of an earlier one
		}
		before, through := idle, make(chan struct{})
		idle = through
		go func(a *answer) {
			defer close(through)
			if l.opts.queue {
				<-before
			}
			l.handle(a, buffer)
		}(last)
	}
}

func (l *link) handle(a *answer, buffer *bufio.Reader) {
	ctx, done := context.WithCancel(context.Background())
	body := &noted{ReadCloser: a.request.Body}
	a.request.Body = body
	handlers.ServeHTTP(a, a.request.WithContext(ctx))
	done()
	io.Copy(io.Discard, body)
	switch err := body.failure; {
	case errors.Is(err, io.ErrUnexpectedEOF) && !l.opts.wholeBodies:
		l.report.Emit("cut", events.Fields{"id": l.id, "path": a.request.RequestURI})
	case err != nil:
		l.violation("the request's body: %v", err)
	case buffer.Buffered() > 0:
		l.violation("bytes behind a request")
	}
	a.finish()
}
