// Wsrpcpeer is one end of a wsrpc connection, to test other implementations against.
//
//	wsrpcpeer serve --address 127.0.0.1:0 --seed HEX --keys HEX,HEX [--calls N ...]
//	wsrpcpeer dial --address 127.0.0.1:PORT --seed HEX --keys HEX [--calls N ...]
//
// It serves Ping, Gnip, Echo and Fail, calls the other end when asked to, and writes one JSON
// object a line to stdout for everything that happens. Lines on stdin are commands: "calls"
// (make the calls again, on every connection), "close" (close every connection), "keys HEX,HEX"
// (replace the server's list of allowed keys). It ends in good order at SIGTERM, SIGINT, the end
// of stdin, or when --max-time is over.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"wirecore.test/peers/events"
)

// Exit codes.
const (
	exitUsage   = 2
	exitRefused = 3
	exitMaxTime = 4
	exitFailed  = 6 // 5 is events.ExitNoReader
)

var errMaxTime = errors.New("--max-time is over")

type options struct {
	key     ed25519.PrivateKey
	keys    []ed25519.PublicKey
	address string

	calls       int
	inflight    int
	bodySize    int
	method      string
	delay       time.Duration
	callTimeout time.Duration

	pingEvery time.Duration
	pongWait  time.Duration
	readLimit int64
	reconnect bool
	maxTime   time.Duration
	wrong     misbehaviour
}

func parseOptions(role string, arguments []string) (*options, error) {
	opts := &options{}
	set := flag.NewFlagSet(role, flag.ContinueOnError)
	seed := set.String("seed", "", "own private key: the 32-byte seed in hex")
	keys := set.String("keys", "", "public keys in hex that the other end may have")
	set.StringVar(&opts.address, "address", "127.0.0.1:0", "where to listen, or to dial")
	set.IntVar(&opts.calls, "calls", 0, "how many calls to make on each new connection")
	set.IntVar(&opts.inflight, "inflight", 1, "how many of them at once")
	set.IntVar(&opts.bodySize, "body-size", 64, "bytes of each call's body")
	set.StringVar(&opts.method, "method", "Ping", "method to call")
	set.DurationVar(&opts.delay, "delay", 0, "delayMs of each call, for Echo")
	set.DurationVar(&opts.callTimeout, "call-timeout", 30*time.Second, "deadline of each call")
	set.DurationVar(&opts.pingEvery, "ping-every", 18*time.Second, "time between pings")
	set.DurationVar(&opts.pongWait, "pong-wait", 20*time.Second, "give up so long after the last pong")
	set.BoolVar(&opts.reconnect, "reconnect", false, "dial again after a failure or a loss")
	set.DurationVar(&opts.maxTime, "max-time", 2*time.Minute, "end the program after this time")
	limit := int64(100_000_000)
	if role == "serve" {
		limit = 10_000_000
	}
	set.Int64Var(&opts.readLimit, "read-limit", limit, "bytes of the longest message to read")
	opts.wrong.define(set)
	if err := set.Parse(arguments); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if opts.calls < 0 || opts.inflight < 1 || opts.bodySize < 0 {
		return nil, errors.New("--calls and --body-size can't be negative, --inflight is at least 1")
	}
	var err error
	if opts.key, err = parseSeed(*seed); err != nil {
		return nil, err
	}
	opts.keys, err = parseKeys(*keys)
	return opts, err
}

// command is a line from stdin.
type command struct {
	name string
	keys []ed25519.PublicKey
}

// readCommands passes the lines of stdin on; at its end it calls end.
func readCommands(report *reporter, commands chan<- command, end func(error)) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		one := command{name: name}
		var err error
		switch name {
		case "calls", "close":
		case "keys":
			one.keys, err = parseKeys(rest)
		default:
			err = errors.New("unknown command")
		}
		if err != nil {
			report.Emit("bad_command", fields{"name": name, "reason": err.Error()})
			continue
		}
		commands <- one
	}
	end(errors.New("the end of stdin"))
}

func main() {
	roles := map[string]func(context.Context, *options, *reporter, <-chan command) error{
		"serve": serve, "dial": dial,
	}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: wsrpcpeer serve|dial [flags]")
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
	go readCommands(report, commands, end)

	failure := roles[role](ctx, opts, report, commands)
	switch {
	case errors.Is(failure, errRefused):
		report.Emit("exit", fields{"reason": failure.Error()})
		os.Exit(exitRefused)
	case failure != nil && ctx.Err() == nil:
		report.Emit("exit", fields{"reason": failure.Error()})
		os.Exit(exitFailed)
	case errors.Is(context.Cause(ctx), errMaxTime):
		report.Emit("exit", fields{"reason": errMaxTime.Error()})
		os.Exit(exitMaxTime)
	case ctx.Err() != nil:
		report.Emit("exit", fields{"reason": context.Cause(ctx).Error()})
	default:
		report.Emit("exit", fields{"reason": "the connection ended"})
	}
}
