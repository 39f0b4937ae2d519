package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/rpc"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

// againLimit is how often a call that was lost is made again: a connection whose codec has failed
// may live on and lose every call that it takes.
const againLimit = 100

// pool listens for providers, and calls them.
type pool struct {
	options  *options
	report   *events.Reporter
	services *rpc.Server // what serves at call-back paths
	tls      *tls.Config // nil: plain text
	mux      *http.ServeMux

	queues  map[string]chan *rpc.Call // by service; "": of all others
	joined  chan struct{}             // a provider has come, to a bench
	ended   <-chan struct{}           // the program is to end
	running sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it doesn't listen
	address  string
	streams  map[*stream]bool
	last     int // number of the last connection
}

func servePool(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	served, err := services(&ledger{})
	if err != nil {
		return err
	}
	security, err := opts.serverTLS()
	if err != nil {
		return err
	}
	p := &pool{
		options: opts, report: report, services: served, tls: security, mux: http.NewServeMux(),
		queues: make(map[string]chan *rpc.Call), joined: make(chan struct{}, 1024),
		ended: ctx.Done(), address: opts.address, streams: make(map[*stream]bool),
	}
	p.bind()
	if err := p.listen(); err != nil {
		return err
	}
	defer p.running.Wait()
	defer p.close(0)
	if opts.bench {
		return p.bench(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case one := <-commands:
			if err := p.obey(one); err != nil {
				return err
			}
		}
	}
}

// bind makes the paths of --bind and --callbacks.
func (p *pool) bind() {
	for _, text := range p.options.bind {
		path, names, _ := strings.Cut(text, "=")
		queue := make(chan *rpc.Call)
		for _, name := range strings.Split(names, ",") {
			p.queues[name] = queue
		}
		p.mux.HandleFunc(path, p.accepting(func(s *stream) { p.use(s, queue) }))
	}
	for _, path := range p.options.callbacks {
		p.mux.HandleFunc(path, p.accepting(func(s *stream) {
			serveCalls(p.services, p.options.codec, s)
		}))
	}
}

func (p *pool) obey(one command) error {
	switch one.Do {
	case "call", "load":
		go obey(p.report, p, one)
	case "close":
		p.close(one.Code)
		p.report.Emit("not_listening", nil)
	case "leave":
		p.leave(one.Code)
	case "listen":
		return p.listen()
	default:
		p.report.Emit("bad_command", events.Fields{"reason": "not for a pool: " + one.Do})
	}
	return nil
}

// listen begins to accept connections, after a close at the address it had before.
func (p *pool) listen() error {
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.listener, p.address = listener, listener.Addr().String()
	p.mu.Unlock()
	_, port, _ := net.SplitHostPort(p.address)
	if p.tls != nil {
		listener = tls.NewListener(listener, p.tls)
	}
	web := &http.Server{Handler: p.mux, ReadHeaderTimeout: controlTimeout, ErrorLog: p.options.log()}
	go func() { _ = web.Serve(listener) }()
	p.report.Emit("listening", events.Fields{"address": p.address, "port": port})
	return nil
}

// close stops listening and ends all connections.
func (p *pool) close(code int) {
	p.mu.Lock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.mu.Unlock()
	p.leave(code)
}

// leave ends all connections with a close frame of that code; 0: with none.
func (p *pool) leave(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for each := range p.streams {
		each.leave(code)
	}
}

// accepting upgrades requests, and reports what they tell, and each connection's end.
func (p *pool) accepting(use func(*stream)) http.HandlerFunc {
	upgrader := websocket.Upgrader{CheckOrigin: func(r *http.Request) bool {
		return p.options.allowOrigin == "" || r.Header.Get("Origin") == p.options.allowOrigin
	}}
	return func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			p.report.Emit("refused", events.Fields{"path": r.URL.Path, "reason": err.Error()})
			return
		}
		s := newStream(ws, p.report)
		number := p.add(s)
		defer p.running.Done()
		p.report.Emit("connected", told(r, number))
		use(s)
		s.Close()
		ending := s.ending()
		ending["number"], ending["path"] = number, r.URL.Path
		p.mu.Lock()
		delete(p.streams, s)
		p.mu.Unlock()
		p.report.Emit("disconnected", ending)
	}
}

func (p *pool) add(s *stream) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running.Add(1)
	p.streams[s] = true
	if p.listener == nil { // closed while this one was on its way
		s.Close()
	}
	p.last++
	return p.last
}

// told is what an upgrade's request says of who dials.
func told(r *http.Request, number int) events.Fields {
	fields := events.Fields{
		"number": number, "path": r.URL.Path, "origin": r.Header.Get("Origin"),
		"user_agent": r.UserAgent(), "authorization": r.Header.Get("Authorization"),
		"subprotocols": websocket.Subprotocols(r),
		"extensions":   r.Header.Get("Sec-WebSocket-Extensions"),
	}
	extras := map[string]string{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Wirecore-") {
			extras[name] = strings.Join(values, ", ")
		}
	}
	fields["fields"] = extras
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		fields["certificate"] = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	return fields
}

// use hands calls to a provider, each as soon as the one before is written. The connection that
// has waited longest takes the next: that is how Go's channels are.
func (p *pool) use(s *stream, queue <-chan *rpc.Call) {
	client := newClient(p.options.codec, s)
	defer client.Close()
	if p.options.bench { // else nobody takes them out
		p.joined <- struct{}{}
	}
	for {
		select {
		case call := <-queue:
			client.Go(call.ServiceMethod, call.Args, call.Reply, call.Done)
		case <-s.failed:
			return
		case <-p.ended: // a client that has failed itself reads no more, and doesn't notice
			return
		}
	}
}

// call waits for a provider and its answer; a call that is lost on the way is made again.
func (p *pool) call(method string, argument, result any) error {
	service, _, _ := strings.Cut(method, ".")
	queue := p.queues[service]
	if queue == nil {
		queue = p.queues[""]
	}
	if queue == nil {
		return errNoPath
	}
	for again := 0; ; again++ {
		done := make(chan *rpc.Call, 1)
		queue <- &rpc.Call{ServiceMethod: method, Args: argument, Reply: result, Done: done}
		err := (<-done).Error
		if !lostOnTheWay(err) || again == againLimit {
			return err
		}
		p.report.Emit("lost_call", events.Fields{"method": method, "reason": err.Error()})
		if again > 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}
