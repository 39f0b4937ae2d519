package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/rpc"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

// dialler connects to a pool, over and over: to serve there, or to call it.
type dialler struct {
	options *options
	report  *events.Reporter
	tls     *tls.Config
	calls   *ledger

	mu      sync.Mutex
	streams map[*stream]bool
	last    int
}

func newDialler(opts *options, report *events.Reporter) (*dialler, error) {
	security, err := opts.clientTLS()
	return &dialler{
		options: opts, report: report, tls: security,
		calls:   &ledger{exitAfter: opts.exitAfter, exitOn: opts.exitOn},
		streams: make(map[*stream]bool),
	}, err
}

// provide serves over --connections connections, until the end or until all are given up.
func provide(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	d, err := newDialler(opts, report)
	if err != nil {
		return err
	}
	served, err := services(d.calls)
	if err != nil {
		return err
	}
	failed := make(chan error, opts.connections)
	for range opts.connections {
		go func() {
			failed <- d.keepUp(ctx, func(s *stream) { serveCalls(served, opts.codec, s) })
		}()
	}
	for left := opts.connections; left > 0; {
		select {
		case one := <-commands:
			d.obey(one)
		case why := <-failed:
			left--
			err = errors.Join(err, why)
		}
	}
	report.Emit("served", events.Fields{"calls": d.calls.received.Load()})
	return err
}

// call is a connection that calls a pool which serves; its commands wait for the connection.
func call(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	d, err := newDialler(opts, report)
	if err != nil {
		return err
	}
	return d.keepUp(ctx, func(s *stream) {
		client := newClient(opts.codec, s)
		var calls sync.WaitGroup
		defer calls.Wait() // how they ended is told before the connection's end, and the process's
		defer client.Close()
		for {
			select {
			case one := <-commands:
				if one.Do == "call" || one.Do == "load" {
					calls.Add(1)
					go func() {
						defer calls.Done()
						obey(report, connection{client}, one)
					}()
				} else {
					d.obey(one)
				}
			case <-s.failed:
				return
			}
		}
	})
}

// connection makes calls on one connection; those that are lost aren't made again.
type connection struct{ client *rpc.Client }

func (c connection) call(method string, argument, result any) error {
	return c.client.Call(method, argument, result)
}

func (d *dialler) obey(one command) {
	if one.Do != "close" {
		d.report.Emit("bad_command", events.Fields{"reason": "not for a provider: " + one.Do})
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for each := range d.streams {
		each.leave(one.Code)
	}
}

// keepUp dials and uses the connection, again after --reconnect where that isn't negative.
func (d *dialler) keepUp(ctx context.Context, use func(*stream)) error {
	for {
		err := d.once(ctx, use)
		if d.options.reconnect < 0 || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(d.options.reconnect):
		}
	}
}

func (d *dialler) once(ctx context.Context, use func(*stream)) error {
	dialer := websocket.Dialer{TLSClientConfig: d.tls, HandshakeTimeout: controlTimeout}
	fields := http.Header{"Origin": {d.options.origin}}
	for _, line := range d.options.headers {
		name, value, _ := strings.Cut(line, ":")
		fields.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	ws, response, err := dialer.DialContext(ctx, d.options.url, fields)
	if err != nil {
		refusal := events.Fields{"reason": err.Error()}
		if response != nil {
			refusal["status"] = response.StatusCode
		}
		d.report.Emit("refused", refusal)
		return err
	}
	for _, name := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		if value := response.Header.Get(name); value != "" {
			d.report.Emit("violation", events.Fields{"reason": name + " wasn't offered: " + value})
		}
	}
	s := newStream(ws, d.report)
	defer context.AfterFunc(ctx, func() {
		_ = s.fail(net.ErrClosed) // a client that has failed reads no more, and would not notice
		s.Close()
	})()
	d.mu.Lock()
	d.streams[s] = true
	d.last++
	number := d.last
	d.mu.Unlock()
	ended := make(chan struct{})
	if d.options.pingInterval > 0 {
		go s.keepAlive(d.options.pingInterval, d.options.maxPings, ended)
	}
	d.report.Emit("connected", events.Fields{"number": number})
	use(s)
	close(ended)
	s.Close()
	d.mu.Lock()
	delete(d.streams, s)
	d.mu.Unlock()
	ending := s.ending()
	ending["number"] = number
	d.report.Emit("disconnected", ending)
	return nil
}
