package main

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

const controlTimeout = 5 * time.Second

// stream is a WebSocket as the byte stream that net/rpc's codecs want: each Write is one binary
// message (in as many frames as gorilla makes of it), what is read is the messages' payloads,
// joined.
type stream struct {
	ws      *websocket.Conn
	report  *events.Reporter
	message io.Reader
	failed  chan error // gets the first failure

	mu       sync.Mutex
	reason   error
	bytes    [2]atomic.Int64 // read, written
	messages [2]atomic.Int64
}

func newStream(ws *websocket.Conn, report *events.Reporter) *stream {
	return &stream{ws: ws, report: report, failed: make(chan error, 1)}
}

func (s *stream) Read(buffer []byte) (int, error) {
	for {
		if s.message == nil {
			opcode, message, err := s.ws.NextReader()
			if err != nil {
				return 0, s.fail(err)
			}
			if opcode != websocket.BinaryMessage {
				s.report.Emit("violation", events.Fields{"reason": "a text message"})
			}
			s.messages[0].Add(1)
			s.message = message
		}
		size, err := s.message.Read(buffer)
		s.bytes[0].Add(int64(size))
		if errors.Is(err, io.EOF) {
			s.message, err = nil, nil
		}
		if size > 0 || err != nil {
			return size, s.fail(err)
		}
	}
}

func (s *stream) Write(data []byte) (int, error) {
	// Not WriteMessage, which would put any size into one frame at the end that listens.
	message, err := s.ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return 0, s.fail(err)
	}
	size, err := message.Write(data)
	if err == nil {
		err = message.Close()
	}
	s.bytes[1].Add(int64(size))
	s.messages[1].Add(1)
	return size, s.fail(err)
}

// Close ends the TCP stream, with no close frame.
func (s *stream) Close() error { return s.ws.Close() }

// leave closes the WebSocket with a close frame, without waiting for the answer; 0: with none.
func (s *stream) leave(code int) {
	if code != 0 {
		farewell := websocket.FormatCloseMessage(code, "")
		deadline := time.Now().Add(controlTimeout)
		_ = s.ws.WriteControl(websocket.CloseMessage, farewell, deadline)
	}
	s.ws.Close()
}

// fail remembers the first error, and gives it back.
func (s *stream) fail(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	if s.reason == nil {
		s.reason = err
		s.failed <- err
	}
	s.mu.Unlock()
	return err
}

// ending is what is reported of the stream's end.
func (s *stream) ending() events.Fields {
	s.mu.Lock()
	defer s.mu.Unlock()
	ending := events.Fields{
		"bytes_read": s.bytes[0].Load(), "bytes_written": s.bytes[1].Load(),
		"messages_read": s.messages[0].Load(), "messages_written": s.messages[1].Load(),
	}
	if s.reason != nil {
		ending["reason"] = s.reason.Error()
	}
	var closed *websocket.CloseError
	if errors.As(s.reason, &closed) {
		ending["code"] = closed.Code
	}
	return ending
}

// keepAlive pings until the stream ends, or until at a ping's time most of them have gone
// unanswered: then it closes the stream.
func (s *stream) keepAlive(interval time.Duration, most int, ended <-chan struct{}) {
	var unanswered atomic.Int64
	pongs := 0
	s.ws.SetPongHandler(func(string) error {
		unanswered.Store(0)
		pongs++
		s.report.Emit("pong", events.Fields{"count": pongs})
		return nil
	})
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ended:
			return
		case now := <-ticks.C:
			dead := unanswered.Load() >= int64(most)
			if !dead {
				unanswered.Add(1)
				err := s.ws.WriteControl(websocket.PingMessage, nil, now.Add(interval))
				dead = err != nil
			}
			if dead {
				s.report.Emit("unanswered", events.Fields{"pings": unanswered.Load()})
				s.ws.Close()
				return
			}
		}
	}
}
