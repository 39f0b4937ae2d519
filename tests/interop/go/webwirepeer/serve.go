package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

// server serves any number of connections.
type server struct {
	options  *options
	report   *events.Reporter
	sessions *sessions

	mu          sync.Mutex
	connections map[*connection]bool
	stopping    bool
	running     sync.WaitGroup
}

func serve(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	known, err := openSessions(opts.sessions, opts.maxSessionConnections)
	if err != nil {
		return err
	}
	s := &server{
		options: opts, report: report, sessions: known,
		connections: make(map[*connection]bool),
	}
	listener, err := net.Listen("tcp", opts.address)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: http.HandlerFunc(s.upgrade), ReadHeaderTimeout: writeTimeout}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	report.Emit("listening", events.Fields{"address": listener.Addr().String()})
	for {
		select {
		case one := <-commands:
			s.obey(one)
		case err := <-failed:
			return err
		case <-ctx.Done():
			err := web.Close() // closes the listener; upgraded connections aren't its own any more
			for _, each := range s.all(true) {
				each.close(websocket.CloseGoingAway)
			}
			s.running.Wait()
			return err
		}
	}
}

// all are the connections; stop says that there will be no others, nor new requests.
func (s *server) all(stop bool) []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = s.stopping || stop
	list := make([]*connection, 0, len(s.connections))
	for each := range s.connections {
		list = append(list, each)
	}
	return list
}

func (s *server) obey(one command) {
	switch one.Do {
	case "stop":
		s.all(true)
		s.report.Emit("stopping", nil)
	case "sessions":
		known, used := s.sessions.count()
		s.report.Emit("sessions", events.Fields{"known": known, "used": used})
	case "close":
		for _, each := range s.all(false) {
			each.close(websocket.CloseNormalClosure)
		}
	case "signal":
		for _, each := range s.all(false) {
			if m, err := one.message(signalled); err != nil {
				s.report.Emit("bad_command", events.Fields{"reason": err.Error()})
			} else if err := each.send(m); err != nil {
				s.report.Emit("not_sent", events.Fields{"reason": err.Error()})
			}
		}
	case "end-sessions":
		for _, each := range s.all(false) {
			each.endSession(true)
		}
	default:
		s.report.Emit("bad_command", events.Fields{"reason": "not for a server: " + one.Do})
	}
}

func (s *server) upgrade(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	stopping := s.stopping
	if !stopping {
		s.running.Add(1)
	}
	s.mu.Unlock()
	if stopping {
		http.Error(w, "server shutting down", http.StatusServiceUnavailable)
		return
	}
	defer s.running.Done()
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		s.report.Emit("refused", events.Fields{"reason": err.Error()})
		return
	}
	c := &connection{link: newLink(ws, s.report, s.options.bufferSize), server: s}
	if s.options.noConf {
		_ = c.read() // until the client has lost its patience
		c.ws.Close()
		s.report.Emit("closed", events.Fields{"by": "peer"})
		return
	}
	s.mu.Lock()
	s.connections[c] = true
	s.mu.Unlock()
	c.run()
	s.mu.Lock()
	delete(s.connections, c)
	s.mu.Unlock()
}

// patience is how long a client may send nothing.
func (s *server) patience() time.Time { return time.Now().Add(s.options.readTimeout) }

func (s *server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}
