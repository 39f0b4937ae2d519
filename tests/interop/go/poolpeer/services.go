package main

import (
	"errors"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"sync/atomic"
	"time"
)

// exitAsked is the exit code of a provider that was told to die of a call.
const exitAsked = 7

// ledger counts the calls that are received, and ends the program where it was told to.
type ledger struct {
	received  atomic.Int64
	exitAfter int64  // 0: never
	exitOn    string // "Service.Method"
}

func (l *ledger) note(method string) {
	if l.received.Add(1) == l.exitAfter || method == l.exitOn {
		os.Exit(exitAsked)
	}
}

type Args struct{ A, B int }

type Quotient struct{ Quo, Rem int }

// Arith is the service of net/rpc's own documentation.
type Arith struct{ ledger *ledger }

func (s Arith) Multiply(args *Args, reply *int) error {
	s.ledger.note("Arith.Multiply")
	*reply = args.A * args.B
	return nil
}

func (s Arith) Divide(args *Args, reply *Quotient) error {
	s.ledger.note("Arith.Divide")
	if args.B == 0 {
		return errors.New("divide by zero")
	}
	*reply = Quotient{args.A / args.B, args.A % args.B}
	return nil
}

// Echo gives back what it is called with, of every kind.
type Echo struct{ ledger *ledger }

func back[T any](s Echo, method string, arg T, reply *T) error {
	s.ledger.note("Echo." + method)
	*reply = arg
	return nil
}

func (s Echo) Bool(arg bool, reply *bool) error          { return back(s, "Bool", arg, reply) }
func (s Echo) Int(arg int, reply *int) error             { return back(s, "Int", arg, reply) }
func (s Echo) Int8(arg int8, reply *int8) error          { return back(s, "Int8", arg, reply) }
func (s Echo) Int16(arg int16, reply *int16) error       { return back(s, "Int16", arg, reply) }
func (s Echo) Int32(arg int32, reply *int32) error       { return back(s, "Int32", arg, reply) }
func (s Echo) Int64(arg int64, reply *int64) error       { return back(s, "Int64", arg, reply) }
func (s Echo) Uint(arg uint, reply *uint) error          { return back(s, "Uint", arg, reply) }
func (s Echo) Uint8(arg uint8, reply *uint8) error       { return back(s, "Uint8", arg, reply) }
func (s Echo) Uint16(arg uint16, reply *uint16) error    { return back(s, "Uint16", arg, reply) }
func (s Echo) Uint32(arg uint32, reply *uint32) error    { return back(s, "Uint32", arg, reply) }
func (s Echo) Uint64(arg uint64, reply *uint64) error    { return back(s, "Uint64", arg, reply) }
func (s Echo) Float(arg float64, reply *float64) error   { return back(s, "Float", arg, reply) }
func (s Echo) Float32(arg float32, reply *float32) error { return back(s, "Float32", arg, reply) }
func (s Echo) Say(arg string, reply *string) error       { return back(s, "Say", arg, reply) }
func (s Echo) Bytes(arg []byte, reply *[]byte) error     { return back(s, "Bytes", arg, reply) }
func (s Echo) Blob(arg Blob, reply *Blob) error          { return back(s, "Blob", arg, reply) }
func (s Echo) Ints(arg []int, reply *[]int) error        { return back(s, "Ints", arg, reply) }
func (s Echo) Strings(arg []string, reply *[]string) error {
	return back(s, "Strings", arg, reply)
}
func (s Echo) Array(arg [3]int32, reply *[3]int32) error { return back(s, "Array", arg, reply) }
func (s Echo) Map(arg map[string]int, reply *map[string]int) error {
	return back(s, "Map", arg, reply)
}
func (s Echo) Time(arg time.Time, reply *time.Time) error { return back(s, "Time", arg, reply) }
func (s Echo) Point(arg Point, reply *Point) error        { return back(s, "Point", arg, reply) }
func (s Echo) Tree(arg *Tree, reply *Tree) error          { return back(s, "Tree", *arg, reply) }
func (s Echo) Rich(arg *Rich, reply *Rich) error          { return back(s, "Rich", *arg, reply) }
func (s Echo) Box(arg Box, reply *Box) error              { return back(s, "Box", arg, reply) }
func (s Echo) Any(arg *any, reply *any) error             { return back(s, "Any", *arg, reply) }
func (s Echo) Complex(arg complex128, reply *complex128) error {
	return back(s, "Complex", arg, reply)
}
func (s Echo) Complex64(arg complex64, reply *complex64) error {
	return back(s, "Complex64", arg, reply)
}

// Fail returns its argument as the error.
func (s Echo) Fail(arg string, reply *string) error {
	s.ledger.note("Echo.Fail")
	return errors.New(arg)
}

// Null returns nil, which is a zero Point in gob, and what JSON-RPC's callers don't survive.
func (s Echo) Null(arg string, reply **Point) error {
	s.ledger.note("Echo.Null")
	return nil
}

// Unnamed returns a value in an interface, of a type without a name there: gob can't encode it,
// and net/rpc closes the connection.
func (s Echo) Unnamed(arg string, reply *any) error {
	s.ledger.note("Echo.Unnamed")
	*reply = struct{ Text string }{arg}
	return nil
}

// Sleep waits so many milliseconds.
func (s Echo) Sleep(arg int, reply *int) error {
	s.ledger.note("Echo.Sleep")
	time.Sleep(time.Duration(arg) * time.Millisecond)
	*reply = arg
	return nil
}

// services are those of a serving end.
func services(calls *ledger) (*rpc.Server, error) {
	server := rpc.NewServer()
	for _, service := range []any{Arith{calls}, Echo{calls}} {
		if err := server.Register(service); err != nil {
			return nil, err
		}
	}
	return server, nil
}

// serveCalls answers calls until the stream ends.
func serveCalls(server *rpc.Server, codec string, conn io.ReadWriteCloser) {
	if codec == codecJSON {
		server.ServeCodec(jsonrpc.NewServerCodec(conn))
	} else {
		server.ServeConn(conn)
	}
}

func newClient(codec string, conn io.ReadWriteCloser) *rpc.Client {
	if codec == codecJSON {
		return jsonrpc.NewClient(conn)
	}
	return rpc.NewClient(conn)
}
