// Restpeer is one end of REST over WebSocket, to test other implementations against. It behaves as
// Go's swaggersocket does, its faults on the wire included, unless a flag says otherwise.
//
//	restpeer server serve|call --address 127.0.0.1:0
//	restpeer client serve|call --url ws://127.0.0.1:PORT/
//
// "server" and "client" are the ends of the WebSocket; "serve" answers requests (handlers.go) and
// "call" makes them.
//
// It writes one JSON object a line to stdout for everything that happens: "listening",
// "connected", "refused", "request", "answer", "cut" (of a body that this end didn't keep), "ping",
// "pong", "violation", "disconnected", "exit". Bytes are latin-1 text there and in commands.
// Lines on stdin are commands, JSON objects with "do", for the newest connection:
//   - "call": "id", "method", "path", "headers", "body" or "body_size" (a pattern of so many
//     bytes), "chunked", "trailers" (with "chunked"); it ends as "answer" with that "id".
//   - "send": "body" as one message of its own, "binary".
//   - "ping": with "body" as its data.
//   - "close": with an empty close frame, or with "code"; "cut": without one.
//
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

// Exit codes; 5 is events.ExitNoReader.
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
	Path     string
	Headers  map[string]string
	Body     string
	BodySize int `json:"body_size"`
	Chunked  bool
	Trailers map[string]string
	Binary   bool
	Code     int
}

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
	opts, err := parseOptions(os.Args[1:])
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

	err = run(ctx, opts, report, commands)
	code := 0
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "restpeer:", err)
		code = exitFailed
	case errors.Is(context.Cause(ctx), errMaxTime):
		err, code = errMaxTime, exitMaxTime
	default:
		err = context.Cause(ctx)
	}
	report.Emit("exit", events.Fields{"reason": err.Error()})
	os.Exit(code)
}

// run is the program between its flags and its end.
func run(
	ctx context.Context, opts *options, report *events.Reporter, commands <-chan command,
) error {
	arrivals := make(chan *link)
	if opts.server {
		listener, err := listen(ctx, opts, report, arrivals)
		if err != nil {
			return err
		}
		defer listener.Close()
	} else {
		one, err := dial(ctx, opts, report)
		if err != nil {
			return err
		}
		go func() { arrivals <- one }()
	}
	var links []*link
	waiting := []command{} // for a connection
	for {
		select {
		case one := <-arrivals:
			links = append(links, one)
			one.begin()
			for _, told := range waiting {
				one.obey(told)
			}
			waiting = nil
		case told := <-commands:
			if len(links) == 0 {
				waiting = append(waiting, told)
			} else {
				links[len(links)-1].obey(told)
			}
		case <-ctx.Done():
			for _, one := range links {
				one.leave(0)
			}
			return nil
		}
	}
}
