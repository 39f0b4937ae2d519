package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const handshakeTimeout = 10 * time.Second

// server keeps at most one connection a public key.
type server struct {
	options *options
	report  *reporter
	allowed *allowList

	mu       sync.Mutex
	links    map[string]*link // nil while the upgrade is under way
	stopping bool
	running  sync.WaitGroup
}

// handshaken is a listener whose connections have passed the TLS handshake; those that fail are
// reported and closed.
type handshaken struct {
	net.Listener
	config *tls.Config
	report *reporter
	passed chan net.Conn
	broken chan error
}

func (h *handshaken) accept() {
	for {
		raw, err := h.Listener.Accept()
		if err != nil {
			h.broken <- err
			return
		}
		go func() {
			conn := tls.Server(raw, h.config)
			ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
			defer cancel()
			if err := conn.HandshakeContext(ctx); err != nil {
				h.report.Emit("refused", fields{"stage": "tls", "reason": err.Error()})
				conn.Close()
				return
			}
			h.passed <- conn
		}()
	}
}

func (h *handshaken) Accept() (net.Conn, error) {
	select {
	case conn := <-h.passed:
		return conn, nil
	case err := <-h.broken:
		return nil, err
	}
}

func serve(ctx context.Context, opts *options, report *reporter, commands <-chan command) error {
	s := &server{
		options: opts, report: report, allowed: &allowList{keys: opts.keys},
		links: make(map[string]*link),
	}
	config, err := tlsConfig(opts.key, s.allowed)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", opts.address)
	if err != nil {
		return err
	}
	secured := &handshaken{
		Listener: listener, config: config, report: report,
		passed: make(chan net.Conn), broken: make(chan error, 1),
	}
	go secured.accept()
	web := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.upgrade(ctx, w, r) }),
		ReadHeaderTimeout: handshakeTimeout,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(secured) }()
	report.Emit("listening", fields{"address": listener.Addr().String(), "key": publicHex(opts.key)})
	for {
		select {
		case one := <-commands:
			s.obey(one)
		case err := <-failed:
			return err
		case <-ctx.Done():
			s.mu.Lock()
			s.stopping = true
			s.mu.Unlock()
			err := web.Close() // closes the listener; upgraded connections aren't its own any more
			s.running.Wait()
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
	}
}

func (s *server) obey(one command) {
	if one.name == "keys" {
		s.allowed.replace(one.keys)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, l := range s.links {
		if l == nil {
			continue
		}
		switch one.name {
		case "keys":
			if raw, err := parseKeys(key); err != nil || !s.allowed.has(raw[0]) {
				go l.close()
			}
		case "calls":
			go l.load()
		case "close":
			go l.close()
		}
	}
}

// reserve takes the place of a key; false where it is taken or the server stops.
func (s *server) reserve(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.links[key]; taken || s.stopping {
		return false
	}
	s.links[key] = nil
	s.running.Add(1)
	return true
}

func (s *server) release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.links, key)
	s.running.Done()
}

func (s *server) upgrade(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	key, err := peerKey(r.TLS)
	if err != nil {
		s.report.Emit("refused", fields{"stage": "upgrade", "reason": err.Error()})
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if !s.reserve(key) {
		// The protocol's answer to a second connection: 200 without a body, no upgrade.
		s.report.Emit("refused", fields{"stage": "upgrade", "key": key, "reason": "already connected"})
		return
	}
	defer s.release(key)
	upgrader := websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 4096}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.report.Emit("refused", fields{"stage": "upgrade", "key": key, "reason": err.Error()})
		return
	}
	ws.SetReadLimit(s.options.readLimit)
	l := newLink(ws, key, false, s.options, s.report)
	s.mu.Lock()
	s.links[key] = l
	// The client knows of the upgrade before this: a key may have gone meanwhile.
	if raw, err := parseKeys(key); err != nil || !s.allowed.has(raw[0]) {
		go l.close()
	}
	s.mu.Unlock()
	l.run(ctx)
}
