package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

var errUsage = errors.New("usage: restpeer server|client serve|call [flags]")

type options struct {
	server, serve bool
	address, url  string
	origin, host  string
	offers        words
	metadata      string
	meta          any
	headTimeout   time.Duration
	watch         bool
	wholeBodies   bool
	queue         bool
	noEmpty       bool
	keepAlive     time.Duration
	pingData      string
	maxTime       time.Duration
}

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

func (w *words) Set(text string) error {
	*w = append(*w, text)
	return nil
}

func parseOptions(arguments []string) (*options, error) {
	if len(arguments) < 2 {
		return nil, errUsage
	}
	end, role := arguments[0], arguments[1]
	if end != "server" && end != "client" || role != "serve" && role != "call" {
		return nil, errUsage
	}
	opts := &options{server: end == "server", serve: role == "serve"}
	set := flag.NewFlagSet(end+" "+role, flag.ContinueOnError)
	if opts.server {
		set.StringVar(&opts.address, "address", "127.0.0.1:0", "where to listen")
	} else {
		set.StringVar(&opts.url, "url", "", "the server's")
		set.StringVar(&opts.origin, "origin", "", "the field Origin, if any")
		set.Var(&opts.offers, "offer", "a subprotocol to offer")
		set.StringVar(&opts.metadata, "metadata", "null", "the handshake's, as JSON")
	}
	if opts.serve {
		set.BoolVar(&opts.wholeBodies, "whole-bodies", false, "keep requests of any size")
		set.BoolVar(&opts.queue, "queue", false, "a second request waits for the first one's answer")
		set.BoolVar(&opts.noEmpty, "no-empty", false, "never send an empty message")
	} else {
		set.StringVar(&opts.host, "host", "localhost", "the host of the URLs called")
		set.DurationVar(&opts.headTimeout, "head-timeout", 10*time.Second, "for a response's head")
		set.BoolVar(&opts.watch, "watch", false, "read between calls; tell failures at once")
	}
	set.DurationVar(&opts.keepAlive, "keepalive", 0, "the time between pings; 0 for none")
	set.StringVar(&opts.pingData, "ping-data", "", "what keepalive's pings carry")
	set.DurationVar(&opts.maxTime, "max-time", 2*time.Minute, "end the program after this time")
	if err := set.Parse(arguments[2:]); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if !opts.server {
		if err := json.Unmarshal([]byte(opts.metadata), &opts.meta); err != nil {
			return nil, fmt.Errorf("--metadata is no JSON: %w", err)
		}
	}
	return opts, nil
}
