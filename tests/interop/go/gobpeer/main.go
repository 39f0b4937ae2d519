// Gobpeer is Go's encoding/gob as a peer for tests: it reads a stream of pairs, the name of a type
// and a value, and writes the same pairs to a stream of its own. The value was one of that type in
// between. With -show it writes, instead of the value, what Go prints of it; with -rpc it serves
// net/rpc instead, over gob or, with -jsonrpc, JSON; with -json it reads and writes JSON, line by line.
package main

import (
	"bufio"
	"encoding/gob"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
)

func main() {
	show := flag.Bool("show", false, "write what Go prints of each value, as a string")
	calls := flag.Bool("rpc", false, "serve net/rpc")
	jsonCalls := flag.Bool("jsonrpc", false, "serve net/rpc/jsonrpc")
	lines := flag.Bool("json", false, "read lines of JSON, and write them again")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	var err error
	switch {
	case *calls || *jsonCalls:
		err = serve(*jsonCalls)
	case *lines:
		err = rewrite(os.Stdin, out)
	default:
		err = answer(gob.NewDecoder(bufio.NewReader(os.Stdin)), gob.NewEncoder(out), *show)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(decoder *gob.Decoder, encoder *gob.Encoder, show bool) error {
	for {
		var name string
		if err := decoder.Decode(&name); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("a name: %w", err)
		}
		kind, known := kinds[name]
		if !known {
			return fmt.Errorf("no type %q", name)
		}
		value := reflect.New(kind)
		if err := decoder.DecodeValue(value); err != nil {
			return fmt.Errorf("a %s: %w", name, err)
		}
		if err := encoder.Encode(name); err != nil {
			return err
		}
		if show {
			if err := encoder.Encode(fmt.Sprintf("%+v", value.Elem().Interface())); err != nil {
				return err
			}
			continue
		}
		if err := encoder.EncodeValue(value.Elem()); err != nil {
			return fmt.Errorf("a %s: %w", name, err)
		}
	}
}
