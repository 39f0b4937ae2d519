package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

const writeTimeout = 10 * time.Second

// link is one WebSocket and the messages on it.
type link struct {
	ws      *websocket.Conn
	report  *events.Reporter
	largest int // bytes of the longest message that is sent

	writing sync.Mutex
	closing atomic.Bool   // this end began to close
	ended   chan struct{} // closed when nothing is read any more
}

func newLink(ws *websocket.Conn, report *events.Reporter, largest int) *link {
	ws.SetReadLimit(int64(largest))
	return &link{ws: ws, report: report, largest: largest, ended: make(chan struct{})}
}

func (l *link) send(m *message) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	if len(data) > l.largest {
		return fmt.Errorf("%d bytes, and the buffer holds %d", len(data), l.largest)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return l.ws.WriteMessage(websocket.BinaryMessage, data)
}

// receive reads the next message; what an end that behaves well never sends is a violation.
func (l *link) receive() (*message, error) {
	opcode, data, err := l.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	if opcode != websocket.BinaryMessage {
		return nil, l.violation("a text message", "")
	}
	m, err := decode(data)
	if err != nil {
		return nil, l.violation("no message", err.Error())
	}
	return m, nil
}

var errViolation = errors.New("the other end broke a rule")

func (l *link) violation(what, detail string) error {
	l.report.Emit("violation", events.Fields{"what": what, "detail": detail})
	return errViolation
}

// close begins the end with a close frame.
func (l *link) close(code int) {
	if l.closing.CompareAndSwap(false, true) {
		frame := websocket.FormatCloseMessage(code, "")
		_ = l.ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(writeTimeout))
		time.AfterFunc(writeTimeout, func() { l.ws.Close() })
	}
}

// reportEnd tells how the connection ended, given what reading failed with.
func (l *link) reportEnd(err error, members events.Fields) {
	code, reason := websocket.CloseAbnormalClosure, err.Error()
	var closed *websocket.CloseError
	var timeout net.Error
	if errors.As(err, &closed) {
		code, reason = closed.Code, closed.Text
	} else if errors.As(err, &timeout) && timeout.Timeout() {
		reason = "read timeout"
	}
	by := "peer"
	if l.closing.Load() {
		by = "here"
	}
	line := events.Fields{"by": by, "code": code, "reason": reason}
	for name, value := range members {
		line[name] = value
	}
	l.report.Emit("closed", line)
}
