// Poolpeer is one end of wsrpcpool, on Go's own net/rpc, to test other implementations against.
//
//	poolpeer pool --address 127.0.0.1:0 --bind / --bind /db=Arith,Files --callbacks /cb
//	poolpeer provider --url ws://127.0.0.1:PORT/ [--connections N --exit-on Echo.Say ...]
//	poolpeer caller --url ws://127.0.0.1:PORT/cb
//
// A provider serves Arith and Echo (services.go) to the pool that it dials; a pool calls its
// providers, and serves the same at its call-back paths; a caller calls a pool there.
//
// It writes one JSON object a line to stdout for everything that happens. Lines on stdin are
// commands, JSON objects with "do":
//   - "call" (pool, caller): "method", "argument" and, where the method isn't one of ours, "kind"
//     and "result" (names of types, values.go); it ends as "answer" with the command's "id". With
//     "times" above 1 there are so many calls of Arith.Multiply, "in_flight" at once, and it ends
//     as "answers".
//   - "load" (pool, caller): a benchmark, "method", "in_flight", "warm_up", "seconds"; "result".
//   - "close": all connections, a pool's listener too; "listen": a pool's, again.
//   - "leave" (pool): all connections. Both with "code": with a close frame.
//
// With --bench a pool waits for --connections providers, runs a load and reports its result.
// "poolpeer serve" and "poolpeer drive" are a provider and such a pool with the command line of
// bench/peers.
// The program ends in good order at SIGTERM, SIGINT, the end of stdin, or when --max-time is over.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"wirecore.test/peers/events"
)

// Exit codes; 5 is events.ExitNoReader, 7 exitAsked.
const (
	exitUsage   = 2
	exitMaxTime = 4
	exitFailed  = 6
)

var errMaxTime = errors.New("--max-time is over")

// command is a line from stdin.
type command struct {
	Do       string
	ID       int
	Method   string
	Argument json.RawMessage
	Kind     string // the argument's
	Result   string // the result's kind
	Times    int
	InFlight int `json:"in_flight"`
	Code     int

	WarmUp  float64 `json:"warm_up"`
	Seconds float64
}

func (c command) load() load {
	return load{method: c.Method, inFlight: max(c.InFlight, 1), warmUp: c.WarmUp, seconds: c.Seconds}
}

// readCommands passes the lines of stdin on; at its end it calls end.
func readCommands(
	ctx context.Context, report *events.Reporter, commands chan<- command, end func(error),
) {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			end(errors.New("the end of stdin"))
			return
		}
		var one command
		if err := json.Unmarshal(line, &one); err != nil {
			report.Emit("bad_command", events.Fields{"reason": err.Error()})
			continue
		}
		select {
		case commands <- one:
		case <-ctx.Done():
			return
		}
	}
}

func main() {
	roles := map[string]func(context.Context, *options, *events.Reporter, <-chan command) error{
		"pool": servePool, "provider": provide, "caller": call,
		"serve": benchProvider, "drive": benchPool,
	}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: poolpeer pool|provider|caller|serve|drive [flags]")
		os.Exit(exitUsage)
	}
	role := os.Args[1]
	opts, err := parseOptions(role, os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	report := events.New()
	ctx, end := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() { end(fmt.Errorf("signal %v", <-signals)) }()
	time.AfterFunc(opts.maxTime, func() { end(errMaxTime) })
	commands := make(chan command)
	go readCommands(ctx, report, commands, end)

	err = roles[role](ctx, opts, report, commands)
	reason := context.Cause(ctx)
	switch {
	case reason == nil && err != nil:
		fmt.Fprintln(os.Stderr, "poolpeer:", err)
		report.Emit("exit", events.Fields{"reason": err.Error()})
		os.Exit(exitFailed)
	case errors.Is(reason, errMaxTime):
		report.Emit("exit", events.Fields{"reason": errMaxTime.Error()})
		os.Exit(exitMaxTime)
	case reason != nil:
		report.Emit("exit", events.Fields{"reason": reason.Error()})
	default:
		report.Emit("exit", events.Fields{"reason": "the connection ended"})
	}
}
