package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

const (
	controlTimeout = 10 * time.Second
	pingTimeout    = 2 * time.Second
)

// link is a connection after its handshake.
type link struct {
	ws     *websocket.Conn
	opts   *options
	report *events.Reporter
	id     string

	writing sync.Mutex // of messages: one is open at a time
	calling sync.Mutex
	watched chan incoming // what is read between calls, with --watch

	once sync.Once
	gone chan struct{} // closed at the connection's end
}

// incoming is a message, or why there are no more.
type incoming struct {
	data []byte
	err  error
}

func newLink(ws *websocket.Conn, opts *options, report *events.Reporter) *link {
	l := &link{ws: ws, opts: opts, report: report, gone: make(chan struct{})}
	ws.SetPingHandler(func(data string) error {
		report.Emit("ping", events.Fields{"data": latin1([]byte(data))})
		err := ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(controlTimeout))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
	ws.SetPongHandler(func(data string) error {
		report.Emit("pong", events.Fields{"data": latin1([]byte(data))})
		return nil
	})
	// A close frame isn't answered.
	ws.SetCloseHandler(func(int, string) error { return nil })
	return l
}

// begin starts what the connection does of its own accord.
func (l *link) begin() {
	if l.opts.keepAlive > 0 {
		go l.keepAlive()
	}
	switch {
	case l.opts.serve:
		go l.serve()
	case l.opts.watch:
		l.watched = make(chan incoming, 1<<16)
		go l.watch()
	}
}

func (l *link) violation(format string, values ...any) {
	l.report.Emit("violation", events.Fields{"id": l.id, "reason": fmt.Sprintf(format, values...)})
}

func (l *link) keepAlive() {
	ticks := time.NewTicker(l.opts.keepAlive)
	defer ticks.Stop()
	for {
		select {
		case <-l.gone:
			return
		case <-ticks.C:
			if err := l.ping(l.opts.pingData); err != nil {
				l.end(err)
				return
			}
		}
	}
}

func (l *link) ping(data string) error {
	deadline := time.Now().Add(pingTimeout)
	return l.ws.WriteControl(websocket.PingMessage, []byte(data), deadline)
}

// nextReader is the next message. A failure ends the connection.
func (l *link) nextReader() (io.Reader, error) {
	if l.watched != nil {
		one := <-l.watched
		if one.err != nil {
			l.watched <- one // for those who read later
		}
		return strings.NewReader(string(one.data)), one.err
	}
	_, message, err := l.ws.NextReader()
	if err != nil {
		l.end(err)
	}
	return message, err
}

func (l *link) watch() {
	for {
		_, data, err := l.ws.ReadMessage()
		if err != nil {
			l.end(err)
		}
		l.watched <- incoming{data, err}
		if err != nil {
			return
		}
	}
}

// end reports the first reason why the connection is over, and closes it.
func (l *link) end(reason error) {
	l.once.Do(func() {
		members := events.Fields{"id": l.id, "code": 0, "reason": reason.Error()}
		var closed *websocket.CloseError
		if errors.As(reason, &closed) && closed.Code != websocket.CloseAbnormalClosure {
			members["code"], members["reason"] = closed.Code, closed.Text
		} else if strings.HasPrefix(reason.Error(), "websocket: ") && closed == nil {
			l.violation("%v", reason)
		}
		close(l.gone)
		l.ws.Close()
		l.report.Emit("disconnected", members)
	})
}

// errLeft is why a connection is over that this end closed.
var errLeft = errors.New("closed by this end")

// leave closes the connection: with a close frame that is empty, or has that code; -1: with none.
func (l *link) leave(code int) {
	if code >= 0 {
		var farewell []byte
		if code > 0 {
			farewell = websocket.FormatCloseMessage(code, "")
		}
		l.ws.WriteControl(websocket.CloseMessage, farewell, time.Now().Add(controlTimeout))
	}
	l.end(errLeft)
}

// open begins a message; it ends the one that is open.
func (l *link) open(kind int) (io.WriteCloser, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	writer, err := l.ws.NextWriter(kind)
	if err != nil {
		return nil, err
	}
	return &message{writer, &l.writing}, nil
}

// message is one that is being written; the connection's lock keeps those of several tasks apart.
type message struct {
	io.WriteCloser
	lock *sync.Mutex
}

func (m *message) Write(data []byte) (int, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.WriteCloser.Write(data)
}

func (m *message) Close() error {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.WriteCloser.Close()
}

// obey does what a command tells.
func (l *link) obey(told command) {
	switch told.Do {
	case "call":
		go l.call(told)
	case "send":
		kind := websocket.TextMessage
		if told.Binary {
			kind = websocket.BinaryMessage
		}
		writer, err := l.open(kind)
		if err == nil {
			writer.Write(fromLatin1(told.Body))
			err = writer.Close()
		}
		l.complain(told, err)
	case "ping":
		l.complain(told, l.ping(string(fromLatin1(told.Body))))
	case "close":
		l.leave(told.Code)
	case "cut":
		l.leave(-1)
	default:
		l.complain(told, fmt.Errorf("no command %q", told.Do))
	}
}

func (l *link) complain(told command, err error) {
	if err != nil {
		l.report.Emit("bad_command", events.Fields{"do": told.Do, "reason": err.Error()})
	}
}

// latin1 is data as text, a character for each byte.
func latin1(data []byte) string {
	text := make([]rune, len(data))
	for index, one := range data {
		text[index] = rune(one)
	}
	return string(text)
}

func fromLatin1(text string) []byte {
	var data []byte
	for _, one := range text {
		data = append(data, byte(one))
	}
	return data
}

// pattern is so many bytes of the alphabet over and over.
func pattern(size int) []byte {
	const alphabet = "abcdefghijklmnopqrstuvwxyz"
	return []byte(strings.Repeat(alphabet, size/len(alphabet)+1)[:size])
}
