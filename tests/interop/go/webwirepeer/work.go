package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

const (
	// numbered is the name of signals that are counted, and not reported one by one.
	numbered = "numbered"

	// progress is reported after so many requests that went well, for who wants to interfere.
	progress = 500
)

// work does what the options want on a new connection, and then what the commands say.
func (s *stream) work(commands <-chan command) {
	defer s.working.Done()
	opts := s.client.options
	if key := *s.client.key.Load(); key != "" {
		s.restore(key)
	} else if opts.login != "" {
		s.request(&message{kind: request, encoding: utf8Text, name: "login", payload: []byte(opts.login)})
	}
	s.callMany()
	s.signalMany()
	for {
		select {
		case one := <-commands:
			s.obey(one)
		case <-s.ended:
			return
		}
	}
}

func (s *stream) obey(one command) {
	switch one.Do {
	case "request":
		if m, err := one.message(request); err == nil {
			s.request(m)
		} else {
			s.report.Emit("bad_command", events.Fields{"reason": err.Error()})
		}
	case "signal":
		m, err := one.message(signalled)
		if err == nil {
			err = s.send(m)
		}
		if err != nil {
			s.report.Emit("bad_command", events.Fields{"reason": err.Error()})
		}
	case "calls":
		s.callMany()
	case "restore":
		s.restore(one.Key)
	case "close-session":
		s.request(&message{kind: closeSession})
		s.client.key.Store(new(string))
	case "close":
		s.close(websocket.CloseNormalClosure)
	default:
		s.report.Emit("bad_command", events.Fields{"reason": "not for a client: " + one.Do})
	}
}

// outcomes are what the answers without a payload are called.
var outcomes = map[kind]string{
	reply: "reply", replyError: "error", replyShutdown: "shutdown", replyInternalError: "internal error",
	replySessionNotFound: "session not found", replyMaxConnections: "too many connections",
	replySessionsOff: "sessions disabled",
}

// request asks, and reports the answer.
func (s *stream) request(m *message) {
	answer, err := s.ask(m)
	if err != nil {
		s.report.Emit("answer", events.Fields{"name": m.name, "outcome": err.Error()})
		return
	}
	s.report.Emit("answer", events.Fields{
		"name": m.name, "outcome": outcomes[answer.kind], "code": answer.name,
		"encoding": answer.encoding.String(), "text": answer.encoding.decode(answer.payload),
		"size": len(answer.payload),
	})
}

func (s *stream) restore(key string) {
	answer, err := s.ask(&message{kind: restoreSession, payload: []byte(key)})
	switch {
	case err != nil:
		s.report.Emit("not_restored", events.Fields{"outcome": err.Error()})
	case answer.kind != reply:
		s.client.key.Store(new(string))
		s.report.Emit("not_restored", events.Fields{"outcome": outcomes[answer.kind]})
	case answer.encoding != utf8Text:
		_ = s.violation("a restored session that isn't UTF-8", answer.encoding.String())
	default:
		_ = s.keep(answer.payload, "restored")
	}
}

// tally counts how requests ended.
type tally struct {
	ok, failed, wrong, lost, timedOut atomic.Int64
	most, now                         atomic.Int64 // requests without an answer
}

// callMany requests "echo" --calls times, --inflight at once, and reports the outcome.
func (s *stream) callMany() {
	opts := s.client.options
	if opts.calls == 0 {
		return
	}
	var (
		result  tally
		workers sync.WaitGroup
		next    atomic.Int64
		started = time.Now()
	)
	for range min(opts.inflight, opts.calls) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := next.Add(1); n <= int64(opts.calls) && !s.hasEnded(); n = next.Add(1) {
				s.callOnce(&result, n)
			}
		}()
	}
	workers.Wait()
	s.report.Emit("calls", events.Fields{
		"ok": result.ok.Load(), "failed": result.failed.Load(), "wrong": result.wrong.Load(),
		"lost": result.lost.Load(), "timed_out": result.timedOut.Load(), "most": result.most.Load(),
		"seconds": time.Since(started).Seconds(),
	})
}

func (s *stream) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *stream) callOnce(result *tally, n int64) {
	opts := s.client.options
	body := []byte(fmt.Sprintf("%d.", n))
	for len(body) < opts.bodySize {
		body = append(body, 'x')
	}
	if opts.encoding == utf16Text && len(body)%2 == 1 {
		body = append(body, 'x')
	}
	now := result.now.Add(1)
	for most := result.most.Load(); now > most && !result.most.CompareAndSwap(most, now); {
		most = result.most.Load()
	}
	answer, err := s.ask(&message{kind: request, encoding: opts.encoding, name: "echo", payload: body})
	result.now.Add(-1)
	switch {
	case errors.Is(err, errTimeout):
		result.timedOut.Add(1)
	case err != nil:
		result.lost.Add(1)
	case answer.kind != reply:
		result.failed.Add(1)
	case answer.encoding != opts.encoding || !bytes.Equal(answer.payload, body):
		result.wrong.Add(1)
	default:
		if result.ok.Add(1)%progress == 0 {
			s.report.Emit("progress", nil)
		}
	}
}

// signalMany sends --signals signals, each with its number.
func (s *stream) signalMany() {
	for n := range s.client.options.signals {
		payload := []byte(strconv.Itoa(n))
		if s.send(&message{kind: signalled, encoding: utf8Text, name: numbered, payload: payload}) != nil {
			return
		}
	}
}
