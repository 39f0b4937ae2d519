package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"strings"
	"time"
)

const (
	codecGob  = "gob"
	codecJSON = "json"
)

// defaultOrigin is what the original's providers send.
const defaultOrigin = "http://localhost/"

type options struct {
	codec           string
	connections     int
	cert, key, ca   string
	maxTime         time.Duration
	bench           bool
	load            load
	meetAt          int
	address         string
	bind, callbacks words
	allowOrigin     string
	url, origin     string
	headers         words
	exitAfter       int64
	exitOn          string
	reconnect       time.Duration
	pingInterval    time.Duration
	maxPings        int
}

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

func (w *words) Set(text string) error {
	*w = append(*w, text)
	return nil
}

func parseOptions(role string, arguments []string) (*options, error) {
	opts := &options{}
	set := flag.NewFlagSet(role, flag.ContinueOnError)
	set.StringVar(&opts.codec, "codec", codecGob, "gob or json")
	set.IntVar(&opts.connections, "connections", 1, "a provider's; those that a bench waits for")
	set.StringVar(&opts.cert, "cert", "", "a file with our certificate")
	set.StringVar(&opts.key, "key", "", "a file with its key; by default the same")
	set.StringVar(&opts.ca, "ca", "", "a file with the authority of the other end's certificate")
	set.DurationVar(&opts.maxTime, "max-time", 2*time.Minute, "end the program after this time")
	switch role {
	case "pool":
		opts.poolFlags(set)
	case "serve", "drive":
		opts.maxTime = math.MaxInt64 // it ends with its stdin
		opts.origin, opts.reconnect, opts.load.method = defaultOrigin, -1, "Arith.Divide"
		opts.benchFlags(set)
	default:
		opts.diallerFlags(set)
	}
	if err := set.Parse(arguments); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if opts.codec != codecGob && opts.codec != codecJSON {
		return nil, fmt.Errorf("--codec is %s or %s", codecGob, codecJSON)
	}
	if opts.connections < 1 || set.Lookup("in-flight") != nil && opts.load.inFlight < 1 {
		return nil, fmt.Errorf("--connections and --in-flight are at least 1")
	}
	if len(opts.bind)+len(opts.callbacks) == 0 {
		opts.bind = words{"/"}
	}
	if opts.key == "" {
		opts.key = opts.cert
	}
	return opts, nil
}

func (o *options) poolFlags(set *flag.FlagSet) {
	set.StringVar(&o.address, "address", "127.0.0.1:0", "where to listen")
	set.Var(&o.bind, "bind", "PATH, or PATH=SERVICE,SERVICE: where providers dial in")
	set.Var(&o.callbacks, "callbacks", "PATH where those dial in who call")
	set.StringVar(&o.allowOrigin, "allow-origin", "", "refuse any other with 403")
	set.BoolVar(&o.bench, "bench", false, "load the providers")
	set.StringVar(&o.load.method, "method", "Arith.Divide", "what a bench calls, or Arith.Multiply")
	o.loadFlags(set)
}

func (o *options) loadFlags(set *flag.FlagSet) {
	set.IntVar(&o.load.inFlight, "in-flight", 1, "calls under way at any time")
	set.Float64Var(&o.load.warmUp, "warm-up", 0.5, "seconds before the measurement")
	set.Float64Var(&o.load.seconds, "seconds", 2, "seconds of the measurement")
}

func (o *options) diallerFlags(set *flag.FlagSet) {
	set.StringVar(&o.url, "url", "", "the pool's")
	set.StringVar(&o.origin, "origin", defaultOrigin, "the field Origin")
	set.Var(&o.headers, "header", "NAME: VALUE, another field of the upgrade")
	set.Int64Var(&o.exitAfter, "exit-after", 0, "die when so many calls have come; 0: never")
	set.StringVar(&o.exitOn, "exit-on", "", "die of a call of this SERVICE.METHOD")
	set.DurationVar(&o.reconnect, "reconnect", -1, "dial again after this time; negative: never")
	set.DurationVar(&o.pingInterval, "ping-interval", 0, "0 for no pings")
	set.IntVar(&o.maxPings, "max-pings", 2, "how many may go unanswered")
}

// serverTLS is nil without a certificate; with an authority clients must show one of it.
func (o *options) serverTLS() (*tls.Config, error) {
	if o.cert == "" {
		return nil, nil
	}
	config, err := o.ownCertificate()
	if err != nil || o.ca == "" {
		return config, err
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs, err = authorities(o.ca)
	return config, err
}

func (o *options) clientTLS() (*tls.Config, error) {
	config, err := o.ownCertificate()
	if err != nil || o.ca == "" {
		return config, err
	}
	config.RootCAs, err = authorities(o.ca)
	return config, err
}

func (o *options) ownCertificate() (*tls.Config, error) {
	if o.cert == "" {
		return &tls.Config{}, nil
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, err
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return pool, nil
}

// log is where net/http says what tests provoke: nowhere.
func (o *options) log() *log.Logger { return log.New(io.Discard, "", 0) }
