package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

const (
	dialTimeout = 5 * time.Second
	redialDelay = 100 * time.Millisecond
)

var (
	errLost    = errors.New("the connection was lost")
	errTimeout = errors.New("no reply in time")
)

// client is what outlives a connection: its session.
type client struct {
	options *options
	report  *events.Reporter
	key     atomic.Pointer[string] // "" without a session
}

func dial(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	c := &client{options: opts, report: report}
	c.key.Store(&opts.key)
	for {
		err := c.dialOnce(ctx, commands)
		if !opts.reconnect || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(redialDelay):
		}
	}
}

// dialOnce connects and lives until the connection ends.
func (c *client) dialOnce(ctx context.Context, commands <-chan command) error {
	dialer := websocket.Dialer{HandshakeTimeout: dialTimeout}
	ws, response, err := dialer.DialContext(ctx, "ws://"+c.options.address+"/", nil)
	if err != nil {
		refusal := events.Fields{"reason": err.Error()}
		if response != nil {
			refusal["status"] = response.StatusCode
		}
		c.report.Emit("refused", refusal)
		return err
	}
	s := &stream{
		link: newLink(ws, c.report, c.options.bufferSize), client: c,
		pending: make(map[uint64]chan *message),
	}
	defer ws.Close()
	if err := s.configure(); err != nil {
		c.report.Emit("refused", events.Fields{"reason": err.Error()})
		return err
	}
	defer context.AfterFunc(ctx, func() { s.close(websocket.CloseNormalClosure) })()
	s.run(commands)
	return nil
}

// stream is a client's open connection.
type stream struct {
	*link
	client *client
	conf   conf

	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan *message
	quiet   *time.Timer // until the next heartbeat
	working sync.WaitGroup

	heartbeats, signals, unknown atomic.Int64
}

// configure waits for the server's first message, and checks it.
func (s *stream) configure() error {
	if err := s.ws.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	first, err := s.receive()
	if err != nil {
		return err
	}
	if first.kind != acceptConf {
		return s.violation("another first message", fmt.Sprint(first.kind))
	}
	s.conf = readConf(first.payload)
	s.report.Emit("connected", events.Fields{
		"major": s.conf.major, "minor": s.conf.minor, "read_timeout_ms": s.conf.readTimeoutMs,
		"buffer_size": s.conf.bufferSize, "subprotocol": s.conf.subprotocol,
	})
	opts := s.client.options
	switch {
	case s.conf.major != majorVersion:
		return fmt.Errorf("version %d", s.conf.major)
	case int(s.conf.bufferSize) != opts.bufferSize:
		return fmt.Errorf("a buffer of %d bytes", s.conf.bufferSize)
	case s.conf.subprotocol != opts.subprotocol:
		return fmt.Errorf("the sub-protocol %q", s.conf.subprotocol)
	}
	return s.ws.SetReadDeadline(time.Time{})
}

// run reads until the end, while what the options and commands want is done.
func (s *stream) run(commands <-chan command) {
	if !s.client.options.quiet {
		s.quiet = time.AfterFunc(s.silence(), s.beat)
	}
	s.working.Add(1)
	go s.work(commands)
	err := s.read()
	close(s.ended)
	if s.quiet != nil {
		s.quiet.Stop()
	}
	s.working.Wait() // the outcome of requests comes before the end of their connection
	s.reportEnd(err, events.Fields{
		"heartbeats": s.heartbeats.Load(), "signals": s.signals.Load(),
		"unknown_replies": s.unknown.Load(),
	})
}

// silence is how long the server is left without a message: three quarters of what it allows.
func (s *stream) silence() time.Duration {
	return time.Duration(s.conf.readTimeoutMs) * time.Millisecond * 3 / 4
}

func (s *stream) beat() {
	if s.send(&message{kind: heartbeat}) == nil {
		s.heartbeats.Add(1)
		s.quiet.Reset(s.silence())
	}
}

func (s *stream) read() error {
	for {
		m, err := s.receive()
		if err != nil {
			return err
		}
		if err := s.handle(m); err != nil {
			return err
		}
	}
}

func (s *stream) handle(m *message) error {
	switch {
	case m.kind == signalled:
		s.signals.Add(1)
		if m.name != numbered {
			s.report.Emit("signal", events.Fields{
				"name": m.name, "encoding": m.encoding.String(),
				"text": m.encoding.decode(m.payload), "size": len(m.payload),
			})
		}
		return nil
	case m.kind == sessionCreated:
		return s.keep(m.payload, "session")
	case m.kind == sessionClosed:
		s.client.key.Store(new(string))
		s.report.Emit("session_closed", nil)
		return nil
	case m.kind == reply || m.kind <= replySessionsOff:
		s.mu.Lock()
		defer s.mu.Unlock()
		id := binary.LittleEndian.Uint64(m.id[:])
		waiter, found := s.pending[id]
		if !found {
			s.unknown.Add(1)
			return nil
		}
		delete(s.pending, id)
		waiter <- m
		return nil
	}
	return s.violation("a message for servers, or one that comes first", fmt.Sprint(m.kind))
}

// keep reads a session, and reports it.
func (s *stream) keep(data []byte, event string) error {
	var kept session
	if err := json.Unmarshal(data, &kept); err != nil || kept.Key == "" {
		return s.violation("no session", fmt.Sprint(err))
	}
	s.client.key.Store(&kept.Key)
	s.report.Emit(event, events.Fields{
		"key": kept.Key, "info": kept.Info, "created": kept.Created, "last_lookup": kept.LastLookup,
	})
	return nil
}

// ask sends a request of any kind, and waits for its answer.
func (s *stream) ask(m *message) (*message, error) {
	waiter := make(chan *message, 1)
	s.mu.Lock()
	s.last++
	id := s.last
	s.pending[id] = waiter
	s.mu.Unlock()
	binary.LittleEndian.PutUint64(m.id[:], id)
	if err := s.send(m); err != nil {
		return nil, err
	}
	if s.quiet != nil {
		s.quiet.Reset(s.silence())
	}
	timeout := time.NewTimer(s.client.options.callTimeout)
	defer timeout.Stop()
	select {
	case answer := <-waiter:
		return answer, nil
	case <-timeout.C:
		return nil, errTimeout
	case <-s.ended:
		return nil, errLost
	}
}
