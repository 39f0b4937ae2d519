package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Named is within a Plain.
type Named struct {
	Name string
	Tags []string
}

// Plain has all that JSON has a way to say.
type Plain struct {
	I     int
	I8    int8
	U64   uint64
	F64   float64
	F32   float32
	B     bool
	S     string
	Bs    []byte
	Ints  []int
	Grid  [][]float64
	Three [3]int32
	M     map[string]int
	Mi    map[int32]string
	P     *Point
	Pi    *int
	At    time.Time
	In    Named
	Subs  []Named
	Any   any
}

func init() {
	kinds["Plain"] = reflect.TypeFor[Plain]()
	kinds["float32"] = reflect.TypeFor[float32]()
	kinds["named"] = reflect.TypeFor[any]()
}

// rewrite reads lines of a type's name, a tab and JSON, and writes what a value of that type is
// that JSON was read into; or "!" and the error.
func rewrite(in io.Reader, out *bufio.Writer) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		kind, known := kinds[name]
		if !known {
			return fmt.Errorf("no type %q", name)
		}
		value := reflect.New(kind)
		written := []byte{}
		err = json.Unmarshal([]byte(text), value.Interface())
		if err == nil {
			written, err = json.Marshal(value.Elem().Interface())
		}
		if err != nil {
			written = []byte("!" + strings.ReplaceAll(err.Error(), "\n", "\\n"))
		}
		if _, err := fmt.Fprintf(out, "%s\n", written); err != nil {
			return err
		}
	}
}
