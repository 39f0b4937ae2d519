package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wirecore.test/peers/events"
)

// connection is a client's, on the server.
type connection struct {
	*link
	server *server

	mu      sync.Mutex
	session *session

	requests, signals, heartbeats atomic.Int64
}

// run tells the client how the server is set up, and serves it until the end.
func (c *connection) run() {
	opts := c.server.options
	err := c.send(conf{
		major: byte(opts.majorVersion), readTimeoutMs: uint32(opts.readTimeout.Milliseconds()),
		bufferSize: uint32(opts.bufferSize), subprotocol: opts.subprotocol,
	}.message())
	c.report.Emit("connected", events.Fields{})
	c.ws.SetPingHandler(func(data string) error {
		_ = c.ws.SetReadDeadline(c.server.patience())
		return c.ws.WriteControl(10, []byte(data), time.Now().Add(writeTimeout))
	})
	if err == nil {
		err = c.read()
	}
	close(c.ended)
	c.ws.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		c.server.sessions.leave(c, c.session.Key)
	}
	c.reportEnd(err, events.Fields{
		"requests": c.requests.Load(), "signals": c.signals.Load(),
		"heartbeats": c.heartbeats.Load(),
	})
}

func (c *connection) read() error {
	for {
		if err := c.ws.SetReadDeadline(c.server.patience()); err != nil {
			return err
		}
		m, err := c.receive()
		if err != nil {
			return err
		}
		if err := c.handle(m); err != nil {
			return err
		}
	}
}

func (c *connection) handle(m *message) error {
	switch m.kind {
	case heartbeat:
		c.heartbeats.Add(1)
		return nil
	case signalled:
		c.signals.Add(1)
		return c.send(m) // back to who sent it
	case request, restoreSession, closeSession:
	default:
		return c.violation("a message for clients", fmt.Sprint(m.kind))
	}
	if c.server.isStopping() {
		return c.answer(m, &message{kind: replyShutdown})
	}
	switch m.kind {
	case restoreSession:
		return c.restore(m)
	case closeSession:
		c.endSession(false)
		return c.answer(m, &message{kind: reply})
	}
	c.requests.Add(1)
	if m.name == "slow" {
		go func() {
			milliseconds, _ := strconv.Atoi(m.encoding.decode(m.payload))
			time.Sleep(time.Duration(milliseconds) * time.Millisecond)
			_ = c.answer(m, &message{kind: reply, encoding: m.encoding, payload: m.payload})
		}()
		return nil
	}
	return c.answer(m, c.reply(m))
}

func (c *connection) answer(m, answer *message) error {
	answer.id = m.id
	return c.send(answer)
}

// reply is the answer to a request that takes no time.
func (c *connection) reply(m *message) *message {
	text := m.encoding.decode(m.payload)
	if name, found := strings.CutPrefix(m.name, "to "); found {
		if target, err := encodingOf(name); err == nil {
			return &message{kind: reply, encoding: target, payload: target.encode(text)}
		}
	}
	switch m.name {
	case "", "echo":
		return &message{kind: reply, encoding: m.encoding, payload: m.payload}
	case "fail": // CODE and words
		code, words, _ := strings.Cut(text, " ")
		return &message{kind: replyError, name: code, payload: []byte(words)}
	case "fail within":
		return &message{kind: replyInternalError}
	case "login":
		if err := c.login(text); err != nil {
			return &message{kind: replyError, name: "LOGIN", payload: []byte(err.Error())}
		}
		return &message{kind: reply, encoding: m.encoding}
	case "who am I":
		return &message{kind: reply, encoding: utf8Text, payload: []byte(c.user())}
	case "end my session":
		c.endSession(true)
		return &message{kind: reply}
	}
	return &message{kind: replyError, name: "UNKNOWN", payload: []byte(m.name)}
}

func (c *connection) user() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return ""
	}
	user, _ := c.session.Info["user"].(string)
	return user
}

func (c *connection) login(user string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		return errors.New("there is a session already")
	}
	made, err := c.server.sessions.create(c, map[string]any{"user": user})
	if err != nil {
		return err
	}
	data, err := json.Marshal(made)
	if err != nil {
		return err
	}
	c.session = &made
	return c.send(&message{kind: sessionCreated, payload: data})
}

func (c *connection) restore(m *message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		return c.violation("a second session", "")
	}
	found, outcome := c.server.sessions.restore(c, string(m.payload))
	if outcome != reply {
		return c.answer(m, &message{kind: outcome})
	}
	data, err := json.Marshal(found)
	if err != nil {
		return err
	}
	c.session = &found
	c.report.Emit("restored", events.Fields{"user": found.Info["user"]})
	return c.answer(m, &message{kind: reply, encoding: utf8Text, payload: data})
}

// endSession forgets the session; tell says whether its client learns it as something new.
func (c *connection) endSession(tell bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return
	}
	if err := c.server.sessions.end(c, c.session.Key); err != nil {
		c.report.Emit("failed", events.Fields{"reason": err.Error()})
	}
	c.session = nil
	if tell {
		_ = c.send(&message{kind: sessionClosed})
	}
}
