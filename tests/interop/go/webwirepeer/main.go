// Webwirepeer is one end of webwire, to test other implementations against.
//
//	webwirepeer serve --address 127.0.0.1:0 [--read-timeout 1s --sessions FILE ...]
//	webwirepeer dial --address 127.0.0.1:PORT [--login USER --calls N --inflight N ...]
//
// As a server it answers "echo" (in the same encoding), "to ENCODING" (in another), "slow"
// (after the milliseconds in the payload), "fail" ("CODE words"), "fail within", "login" (the
// user's name), "who am I" and "end my session"; signals go back to who sent them. As a client it
// requests "echo".
//
// It writes one JSON object a line to stdout for everything that happens. Lines on stdin are
// commands, JSON objects whose "do" is, for a server: "signal", "sessions", "end-sessions",
// "stop" (requests are refused from then on), "close"; for a client: "request", "signal",
// "restore", "close-session", "calls", "close". It ends in good order at SIGTERM, SIGINT, the end
// of stdin, or when --max-time is over.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"wirecore.test/peers/events"
)

// Exit codes; 5 is events.ExitNoReader.
const (
	exitUsage   = 2
	exitMaxTime = 4
	exitFailed  = 6
)

var errMaxTime = errors.New("--max-time is over")

type options struct {
	address     string
	bufferSize  int
	subprotocol string
	maxTime     time.Duration

	// a server's
	readTimeout           time.Duration
	majorVersion          int
	sessions              string
	maxSessionConnections int
	noConf                bool

	// a client's
	login, key       string
	calls, inflight  int
	bodySize         int
	encoding         encoding
	signals          int
	callTimeout      time.Duration
	reconnect, quiet bool
}

func parseOptions(role string, arguments []string) (*options, error) {
	opts := &options{}
	set := flag.NewFlagSet(role, flag.ContinueOnError)
	set.StringVar(&opts.address, "address", "127.0.0.1:0", "where to listen, or to dial")
	set.IntVar(&opts.bufferSize, "buffer-size", 8192, "bytes of the longest message")
	set.StringVar(&opts.subprotocol, "subprotocol", "", "what is spoken inside")
	set.DurationVar(&opts.maxTime, "max-time", 2*time.Minute, "end the program after this time")
	name := ""
	if role == "serve" {
		set.DurationVar(&opts.readTimeout, "read-timeout", time.Minute, "a client's may be silent so long")
		set.IntVar(&opts.majorVersion, "major-version", majorVersion, "of the protocol, as it is told")
		set.StringVar(&opts.sessions, "sessions", "", "a file to keep them in")
		set.IntVar(&opts.maxSessionConnections, "max-session-connections", 0, "0 for any number")
		set.BoolVar(&opts.noConf, "no-conf", false, "never tell a client how the server is set up")
	} else {
		set.StringVar(&opts.login, "login", "", "log in as this user on the first connection")
		set.StringVar(&opts.key, "key", "", "the session to restore on the first connection")
		set.IntVar(&opts.calls, "calls", 0, "how many requests to make on each new connection")
		set.IntVar(&opts.inflight, "inflight", 1, "how many of them at once")
		set.IntVar(&opts.bodySize, "body-size", 64, "bytes of each request's payload")
		set.StringVar(&name, "encoding", "utf8", "of their payloads")
		set.IntVar(&opts.signals, "signals", 0, "how many signals to send on each new connection")
		set.DurationVar(&opts.callTimeout, "call-timeout", 30*time.Second, "for each reply")
		set.BoolVar(&opts.reconnect, "reconnect", false, "dial again after a failure or a loss")
		set.BoolVar(&opts.quiet, "no-heartbeats", false, "send none")
	}
	if err := set.Parse(arguments); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if opts.calls < 0 || opts.bodySize < 0 || opts.bufferSize < 32 {
		return nil, errors.New("--calls and --body-size can't be negative, --buffer-size is at least 32")
	}
	var err error
	opts.encoding, err = encodingOf(name)
	return opts, err
}

// command is a line from stdin.
type command struct {
	Do, Name, Encoding, Text, Key string
	Size                          int // of the payload, in place of Text
}

// message is what a command wants to be sent.
func (c command) message(k kind) (*message, error) {
	form, err := encodingOf(c.Encoding)
	if err != nil {
		return nil, err
	}
	payload := form.encode(c.Text)
	if c.Size > 0 {
		payload = []byte(strings.Repeat("x", c.Size))
	}
	return &message{kind: k, encoding: form, name: c.Name, payload: payload}, nil
}

// readCommands passes the lines of stdin on; at its end it calls end.
func readCommands(report *events.Reporter, commands chan<- command, end func(error)) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var one command
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			report.Emit("bad_command", events.Fields{"reason": err.Error()})
			continue
		}
		commands <- one
	}
	end(errors.New("the end of stdin"))
}

func main() {
	roles := map[string]func(context.Context, *options, *events.Reporter, <-chan command) error{
		"serve": serve, "dial": dial,
	}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: webwirepeer serve|dial [flags]")
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

	err = roles[role](ctx, opts, report, commands)
	reason := context.Cause(ctx)
	switch {
	case reason == nil && err != nil && !errors.Is(err, http.ErrServerClosed):
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
