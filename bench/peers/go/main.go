// Benchpeer is the Go side of the benchmarks: WebSocket echo servers and clients on the two
// libraries most used in Go, encoding/gob, and a reverse proxy with callers for it. It speaks the
// command line of ../README.md:
//
//	benchpeer gorilla|gws serve [--port N]
//	benchpeer gorilla|gws drive --port N [--size N] [--in-flight N] [--seconds S ...]
//
//	benchpeer gob drive --option op=encode|decode [--seconds S ...]
//
//	benchpeer proxy serve --option 'upstream=["python", ...]'
//	benchpeer http drive --port N [--option figure=MB/s] [--size N] [--in-flight N] ...
//
// Gob has no server, and HTTP is driven alike whoever serves it. Compression is off and TCP_NODELAY on (Go's default). The driver writes the next message where
// it reads an answer, in one goroutine, and compares every answer with what it sent.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// library is one WebSocket implementation at both ends.
type library struct {
	module string
	// serve echoes messages on every connection until the listener fails.
	serve func(net.Listener) error
	// drive opens one connection and keeps the window full until it is over.
	drive func(url string, w *window) error
}

var libraries = map[string]library{
	"gorilla": {"github.com/gorilla/websocket", serveGorilla, driveGorilla},
	"gws":     {"github.com/lxzan/gws", serveGws, driveGws},
}

// others are no libraries of WebSocket; with the options that each knows.
var others = map[string]keyValues{
	"gob":   {"op": ""},
	"proxy": {"upstream": ""},
	"http":  {"figure": ""},
}

// emit writes one event to stdout.
func emit(event any) error {
	return json.NewEncoder(os.Stdout).Encode(event)
}

// version names the library's version and Go's.
func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version + ", " + runtime.Version()
			}
		}
	}
	return runtime.Version()
}

// keyValues collects --option KEY=VALUE; a key that isn't there already is an error.
type keyValues map[string]string

func (o keyValues) String() string { return "" }

func (o keyValues) Set(text string) error {
	key, value, _ := strings.Cut(text, "=")
	if _, known := o[key]; !known {
		return fmt.Errorf("this peer knows no option %q", key)
	}
	o[key] = value
	return nil
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("usage: benchpeer gorilla|gws|gob|proxy|http serve|drive [options]")
	}
	name, verb := arguments[0], arguments[1]
	chosen, ok := libraries[name]
	options, alone := others[name]
	if !ok && !alone {
		return fmt.Errorf("unknown library %q", name)
	}
	if !alone {
		options = keyValues{}
	}
	set := flag.NewFlagSet(arguments[1], flag.ContinueOnError)
	port := set.Int("port", 0, "port on 127.0.0.1 (serve: 0 takes a free one)")
	set.Var(options, "option", "KEY=VALUE")
	w := &window{}
	set.IntVar(&w.size, "size", 64, "bytes of a message")
	set.IntVar(&w.inFlight, "in-flight", 1, "messages under way at any time")
	set.Float64Var(&w.warmUp, "warm-up", 0.5, "seconds before the measurement")
	set.Float64Var(&w.seconds, "seconds", 2, "seconds of the measurement")
	set.IntVar(&w.messages, "messages", 0,
		"end the measurement after so many messages instead (0: by --seconds)")
	set.Int("watch", 0, "process id of the server; not used")
	if err := set.Parse(arguments[2:]); err != nil {
		return err
	}
	switch name + " " + verb {
	case "gob drive":
		return driveGob(w, options["op"])
	case "proxy serve":
		upstream, err := startUpstream(options["upstream"])
		if err != nil {
			return err
		}
		return serve(library{serve: proxyTo(upstream)}, *port)
	case "http drive":
		found, err := driveHTTP(*port, w, options["figure"] == "MB/s")
		if err != nil {
			return err
		}
		return told(found, runtime.Version())
	}
	switch {
	case verb == "serve" && !alone:
		return serve(chosen, *port)
	case verb == "drive" && !alone:
		return drive(chosen, *port, w)
	}
	return fmt.Errorf("%s has no role %q", name, verb)
}

func serve(chosen library, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- chosen.serve(listener) }()
	err = emit(struct {
		Event   string `json:"event"`
		Port    int    `json:"port"`
		Version string `json:"version"`
	}{"listening", listener.Addr().(*net.TCPAddr).Port, version(chosen.module)})
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	go func() {
		waitForStdin()
		close(closed)
	}()
	select {
	case err := <-failed:
		return err
	case <-closed:
		return nil
	}
}

func drive(chosen library, port int, w *window) error {
	if err := w.prepare(); err != nil {
		return err
	}
	url := "ws://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/"
	if err := chosen.drive(url, w); err != nil {
		return err
	}
	result, err := w.result()
	if err != nil {
		return err
	}
	return told(result, version(chosen.module))
}

// told writes a result, and waits for the end: until then our memory can be read.
func told(found result, version string) error {
	found.Version = version
	if err := emit(found); err != nil {
		return err
	}
	waitForStdin()
	return nil
}

// waitForStdin returns when stdin is closed (or can't be read, which is as good).
func waitForStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer:", err)
		os.Exit(1)
	}
}
