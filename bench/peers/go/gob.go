package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"runtime"
	"time"
)

// order is the value of the gob rows, as bench/peers/codec_gob.py has it. No field is zero: those
// aren't sent.
type order struct {
	ServiceMethod string
	Seq           int
	Name          string
	Price         float64
	Paid          bool
}

// orders are different values, which are encoded or decoded in turn: a pass.
func orders() []order {
	made := make([]order, 64)
	for at := range made {
		n := at + 1
		name := fmt.Sprintf("item number %d", n)
		made[at] = order{"Shop.Order", 97 * n, name, 1.25*float64(n) + 0.5, true}
	}
	return made
}

// driveGob encodes or decodes passes on one encoder or decoder, so that the type is sent once.
func driveGob(w *window, operation string) error {
	var pass func() error
	var err error
	switch operation {
	case "encode":
		pass, err = encodePass()
	case "decode":
		pass, err = decodePass()
	default:
		err = fmt.Errorf("--option op must be encode or decode, not %q", operation)
	}
	if err != nil {
		return err
	}
	found, err := w.repeat(pass, len(orders()))
	if err != nil {
		return err
	}
	found.Version = "encoding/gob, " + runtime.Version()
	if err := emit(found); err != nil {
		return err
	}
	waitForStdin()
	return nil
}

// encodePass writes to memory; what the first pass writes is compared.
func encodePass() (func() error, error) {
	var sink bytes.Buffer
	encoder, values := gob.NewEncoder(&sink), orders()
	pass := func() error {
		sink.Reset()
		for at := range values {
			if err := encoder.Encode(&values[at]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := pass(); err != nil {
		return nil, err
	}
	return pass, compare(gob.NewDecoder(bytes.NewReader(sink.Bytes())), values)
}

// decodePass reads from memory; what the first pass reads is compared.
func decodePass() (func() error, error) {
	var sink bytes.Buffer
	encoder, values := gob.NewEncoder(&sink), orders()
	var parts [2][]byte // a pass with the definition of the type, and one without
	for at := range parts {
		for each := range values {
			if err := encoder.Encode(&values[each]); err != nil {
				return nil, err
			}
		}
		parts[at] = bytes.Clone(sink.Bytes())
		sink.Reset()
	}
	decoder := gob.NewDecoder(&endless{parts[0], parts[1]})
	pass := func() error {
		for range values {
			var got order
			if err := decoder.Decode(&got); err != nil {
				return err
			}
		}
		return nil
	}
	return pass, compare(decoder, values)
}

func compare(decoder *gob.Decoder, values []order) error {
	for at := range values {
		var got order
		if err := decoder.Decode(&got); err != nil {
			return err
		}
		if got != values[at] {
			return fmt.Errorf("value %d isn't the one that was encoded", at)
		}
	}
	return nil
}

// endless gives left, and then again over and over.
type endless struct{ left, again []byte }

func (e *endless) Read(buffer []byte) (int, error) {
	if len(e.left) == 0 {
		e.left = e.again
	}
	size := copy(buffer, e.left)
	e.left = e.left[size:]
	return size, nil
}

// repeat runs a pass of so many values through warm-up and measurement; the one before was compared.
func (w *window) repeat(pass func() error, number int) (result, error) {
	count := 0
	w.start()
	for {
		if err := pass(); err != nil {
			return result{}, err
		}
		count += number
		now := time.Now()
		if now.Before(w.deadline) {
			continue
		}
		if w.measuring {
			w.elapsed = now.Sub(w.began)
			found := result{
				Event: "result", Count: count, Seconds: w.elapsed.Seconds(), Checked: number,
			}
			return found, emit(map[string]string{"event": "end"})
		}
		if err := emit(map[string]string{"event": "begin"}); err != nil {
			return result{}, err
		}
		count, w.measuring, w.began = 0, true, time.Now()
		w.deadline = w.began.Add(time.Duration(w.seconds * float64(time.Second)))
	}
}
