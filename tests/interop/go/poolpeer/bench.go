package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"wirecore.test/peers/events"
)

// meeting is what a benchmark's pool tells its provider: where to dial, and how.
type meeting struct {
	Port        int    `json:"port"`
	Codec       string `json:"codec"`
	Connections int    `json:"connections"`
}

// benchFlags are those of every peer in bench/peers, see the README there.
func (o *options) benchFlags(set *flag.FlagSet) {
	set.IntVar(&o.meetAt, "port", 0, "where the provider waits for its pool to tell where it is")
	o.loadFlags(set)
	set.Int("size", 0, "bytes of a message; not used, as calls have a small struct")
	set.Int("watch", 0, "process id of the server; not used")
	set.Func("option", "codec=CODEC or connections=N", func(text string) error {
		key, value, _ := strings.Cut(text, "=")
		if key != "codec" && key != "connections" {
			return fmt.Errorf("this peer knows no option %q", key)
		}
		return set.Set(key, value)
	})
}

// benchProvider announces where it wants to be told of a pool, and then serves that.
func benchProvider(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	port := listener.Addr().(*net.TCPAddr).Port
	report.Emit("listening", events.Fields{"port": port, "version": version()})
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	var told meeting
	err = json.NewDecoder(conn).Decode(&told)
	conn.Close()
	if err != nil {
		return fmt.Errorf("what the pool told: %w", err)
	}
	opts.url = fmt.Sprintf("ws://127.0.0.1:%d/", told.Port)
	opts.codec, opts.connections = told.Codec, told.Connections
	return provide(ctx, opts, report, commands)
}

// benchPool is a pool that tells a provider where it is, and then loads it.
func benchPool(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	if opts.meetAt == 0 {
		return errors.New("--port must say where the provider is")
	}
	opts.bench, opts.address = true, "127.0.0.1:0"
	return servePool(ctx, opts, report, commands)
}

// meet tells the provider that waits at --port, if any, where this pool listens.
func (p *pool) meet() error {
	if p.options.meetAt == 0 {
		return nil
	}
	_, text, err := net.SplitHostPort(p.address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.options.meetAt)))
	if err != nil {
		return err
	}
	defer conn.Close()
	return json.NewEncoder(conn).Encode(meeting{port, p.options.codec, p.options.connections})
}

// bench waits for --connections providers, and loads them.
func (p *pool) bench(ctx context.Context) error {
	if err := p.meet(); err != nil {
		return err
	}
	for range p.options.connections {
		select {
		case <-p.joined:
		case <-ctx.Done():
			return nil
		}
	}
	result, err := p.options.load.run(p, p.report)
	if err != nil {
		return err
	}
	result["version"] = version()
	p.report.Emit("result", result)
	<-ctx.Done()
	return nil
}

// version names those of gorilla and of Go.
func version() string {
	found := runtime.Version()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/gorilla/websocket" {
				found += ", gorilla " + dependency.Version
			}
		}
	}
	return found
}
