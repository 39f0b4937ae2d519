package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const writeTimeout = 10 * time.Second

var errLost = errors.New("the connection was lost")

// link is one WebSocket with a peer whose key was checked; both ends may call.
type link struct {
	ws      *websocket.Conn
	peer    string // public key in hex
	dialled bool   // this end is the client
	options *options
	report  *reporter

	writing sync.Mutex
	ended   chan struct{} // closed when nothing is read any more
	closing atomic.Bool   // this end began to close

	pendingLock sync.Mutex
	pending     map[string]chan envelope
	loading     sync.Mutex // held while calls are made: one load at a time

	requests, answered, unknownMethods, unknownAnswers, skipped, pings, pongs atomic.Int64
}

func newLink(ws *websocket.Conn, peer string, dialled bool, opts *options, report *reporter) *link {
	return &link{
		ws: ws, peer: peer, dialled: dialled, options: opts, report: report,
		ended: make(chan struct{}), pending: make(map[string]chan envelope),
	}
}

// run reads until the connection ends, then reports how it ended. Ending ctx closes it.
func (l *link) run(ctx context.Context) {
	l.report.Emit("connected", fields{"key": l.peer})
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	l.watchHeartbeat()
	go l.ping()
	if err := l.sendGarbage(); err != nil {
		l.report.Emit("garbage_failed", fields{"reason": err.Error()})
	}
	go l.load()
	code, reason := l.read(ctx)
	close(l.ended)
	l.ws.Close()
	l.loading.Lock() // the outcome of the calls comes before the end of their connection
	defer l.loading.Unlock()
	by := "peer"
	if l.closing.Load() {
		by = "here"
	}
	l.report.Emit("closed", fields{
		"key": l.peer, "by": by, "code": code, "reason": reason,
		"requests": l.requests.Load(), "answered": l.answered.Load(),
		"unknown_methods": l.unknownMethods.Load(), "unknown_answers": l.unknownAnswers.Load(),
		"skipped": l.skipped.Load(), "pings": l.pings.Load(), "pongs": l.pongs.Load(),
	})
}

// read handles messages until the end; it gives the close code and reason, 1006 and the error's
// text where the end wasn't a close frame.
func (l *link) read(ctx context.Context) (int, string) {
	for count := 0; ; count++ {
		if count == l.options.wrong.stopReading {
			<-ctx.Done()
			return websocket.CloseAbnormalClosure, "reading was stopped on purpose"
		}
		opcode, message, err := l.ws.ReadMessage()
		if err != nil {
			return l.explain(err)
		}
		if opcode != websocket.BinaryMessage {
			l.violation("a text message", "")
		}
		l.dispatch(message)
	}
}

func (l *link) explain(err error) (int, string) {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return closed.Code, closed.Text
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return websocket.CloseAbnormalClosure, fmt.Sprintf("no pong for %v", l.options.pongWait)
	}
	return websocket.CloseAbnormalClosure, err.Error()
}

func (l *link) dispatch(message []byte) {
	e, err := decodeEnvelope(message)
	switch {
	case err != nil:
		l.skipped.Add(1)
		l.violation("an envelope that can't be decoded", err.Error())
	case e.member == requestMember:
		l.requests.Add(1)
		if !callIDForm.MatchString(e.callID) {
			l.violation("a call id that is no lower-case UUID v4", e.callID)
			return
		}
		go l.serve(e)
	case e.member == responseMember:
		l.deliver(e)
	default:
		l.skipped.Add(1)
		l.violation("an envelope without a member", "")
	}
}

// violation reports what a well-behaved peer never sends.
func (l *link) violation(what, detail string) {
	l.report.Emit("violation", fields{"key": l.peer, "what": what, "detail": detail})
}

func (l *link) deliver(e envelope) {
	l.pendingLock.Lock()
	waiting, found := l.pending[e.callID]
	delete(l.pending, e.callID)
	l.pendingLock.Unlock()
	if !found {
		l.unknownAnswers.Add(1)
		return
	}
	waiting <- e
}

// call sends a request and waits for its answer; the error is errLost, the context's, or that
// of the write.
func (l *link) call(ctx context.Context, method string, payload []byte) (envelope, error) {
	id := newCallID()
	waiting := make(chan envelope, 1)
	l.pendingLock.Lock()
	l.pending[id] = waiting
	l.pendingLock.Unlock()
	request := envelope{member: requestMember, method: method, callID: id, payload: payload}
	err := l.write(websocket.BinaryMessage, request.encode())
	if err == nil {
		select {
		case answer := <-waiting:
			return answer, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-l.ended:
			err = errLost
		}
	}
	l.pendingLock.Lock()
	delete(l.pending, id)
	l.pendingLock.Unlock()
	return envelope{}, err
}

func (l *link) hasEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *link) write(opcode int, message []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return l.ws.WriteMessage(opcode, message)
}

// close sends a close frame 1000 and ends the stream without waiting for the answer.
func (l *link) close() {
	if l.closing.Swap(true) {
		return
	}
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	// A peer that is gone or doesn't read can't be told; the stream is closed all the same.
	_ = l.ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
	l.ws.Close()
}

// watchHeartbeat ends reading pongWait after the last pong; the peer's data and pings don't count.
func (l *link) watchHeartbeat() {
	expect := func() error { return l.ws.SetReadDeadline(time.Now().Add(l.options.pongWait)) }
	if err := expect(); err != nil {
		l.report.Emit("heartbeat_failed", fields{"reason": err.Error()})
	}
	l.ws.SetPongHandler(func(string) error {
		l.pongs.Add(1)
		return expect()
	})
	answer := l.ws.PingHandler()
	l.ws.SetPingHandler(func(payload string) error {
		l.pings.Add(1)
		if l.options.wrong.noPong {
			return nil
		}
		return answer(payload)
	})
}

func (l *link) ping() {
	ticker := time.NewTicker(l.options.pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-ticker.C:
			// Where the ping can't be written no pong will come, which the reader notices.
			_ = l.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout))
		}
	}
}
