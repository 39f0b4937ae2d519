package main

import (
	"errors"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
)

type Args struct{ A, B int }

type Quotient struct{ Quo, Rem int }

// Arith is the service of net/rpc's own documentation.
type Arith struct{}

func (Arith) Multiply(args *Args, reply *int) error {
	*reply = args.A * args.B
	return nil
}

func (Arith) Divide(args *Args, reply *Quotient) error {
	if args.B == 0 {
		return errors.New("divide by zero")
	}
	*reply = Quotient{args.A / args.B, args.A % args.B}
	return nil
}

// Echo gives back what it is called with.
type Echo struct{}

func (Echo) Any(arg any, reply *any) error {
	*reply = arg
	return nil
}

func (Echo) Holder(arg *Holder, reply *Holder) error {
	*reply = *arg
	return nil
}

type pipes struct {
	io.Reader
	io.Writer
}

func (pipes) Close() error { return nil }

// serve answers the calls on standard input, until it ends.
func serve(inJSON bool) error {
	server := rpc.NewServer()
	for _, service := range []any{Arith{}, Echo{}} {
		if err := server.Register(service); err != nil {
			return err
		}
	}
	if inJSON {
		server.ServeCodec(jsonrpc.NewServerCodec(pipes{os.Stdin, os.Stdout}))
	} else {
		server.ServeConn(pipes{os.Stdin, os.Stdout})
	}
	return nil
}
