package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

var errUnfinished = errors.New("the connection ended before the measurement did")

// window keeps a number of messages in flight, checks the answers and measures. Answers come in
// the order of the messages. It isn't safe for concurrent use.
type window struct {
	size     int
	inFlight int
	warmUp   float64 // seconds
	seconds  float64
	messages int

	payload   []byte      // of the message to send
	expected  []byte      // of the answer to come
	sentAt    []time.Time // ring, of the messages in flight
	sent      uint64
	received  uint64
	measuring bool
	over      bool
	began     time.Time
	deadline  time.Time
	elapsed   time.Duration
	latencies []time.Duration
}

type result struct {
	Event   string  `json:"event"`
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
	Checked int     `json:"checked"`
	Value   float64 `json:"value,omitempty"`
	P50     float64 `json:"p50_us,omitempty"`
	P99     float64 `json:"p99_us,omitempty"`
	Version string  `json:"version"`
}

func (w *window) prepare() error {
	if w.size < 0 || w.inFlight < 1 || w.warmUp < 0 || w.seconds <= 0 || w.messages < 0 {
		return errors.New("--size, --warm-up and --messages can't be negative, " +
			"--in-flight is at least 1, --seconds above 0")
	}
	// One goroutine writes and reads: more than the sockets buffer would stop both ends for good.
	if w.inFlight > 1 && w.inFlight*w.size > 1<<20 {
		return errors.New("--in-flight times --size can't be above 1 MiB")
	}
	w.payload = bytes.Repeat([]byte("wirecore"), w.size/8+1)[:w.size]
	w.expected = slices.Clone(w.payload)
	w.sentAt = make([]time.Time, w.inFlight)
	w.latencies = make([]time.Duration, 0, max(w.messages, 1<<20))
	return nil
}

// writeNumber writes a message's number into its payload, where that has room for it.
func writeNumber(payload []byte, n uint64) {
	if len(payload) >= 8 {
		binary.LittleEndian.PutUint64(payload, n)
	}
}

// start begins the warm-up; the caller then sends inFlight messages.
func (w *window) start() {
	w.deadline = time.Now().Add(time.Duration(w.warmUp * float64(time.Second)))
}

// next is the payload of the next message; the slice is used again by the next call.
func (w *window) next() []byte {
	writeNumber(w.payload, w.sent)
	w.sentAt[w.sent%uint64(w.inFlight)] = time.Now()
	w.sent++
	return w.payload
}

// take judges an answer; afterwards the next message is due, unless over is set.
func (w *window) take(answer []byte) error {
	writeNumber(w.expected, w.received)
	if !bytes.Equal(answer, w.expected) {
		return fmt.Errorf("answer %d isn't what was sent", w.received)
	}
	now := time.Now()
	took := now.Sub(w.sentAt[w.received%uint64(w.inFlight)])
	w.received++
	if !w.measuring {
		if now.Before(w.deadline) {
			return nil
		}
		w.measuring = true
		w.began = now
		w.deadline = now.Add(time.Duration(w.seconds * float64(time.Second)))
		return emit(map[string]string{"event": "begin"})
	}
	w.latencies = append(w.latencies, took)
	if w.messages > 0 && len(w.latencies) < w.messages || w.messages == 0 && now.Before(w.deadline) {
		return nil
	}
	w.over = true
	w.elapsed = now.Sub(w.began)
	return emit(map[string]string{"event": "end"})
}

func (w *window) result() (result, error) {
	if !w.over {
		return result{}, errUnfinished
	}
	found := figures(w.latencies, w.elapsed.Seconds())
	found.Checked = int(w.received)
	return found, nil
}

// figures is what so many answers in so many seconds come to; it sorts latencies.
func figures(latencies []time.Duration, seconds float64) result {
	slices.Sort(latencies)
	count := len(latencies)
	at := func(percent int) float64 {
		if count == 0 {
			return 0
		}
		return float64(latencies[(count-1)*percent/100].Nanoseconds()) / 1000
	}
	return result{Event: "result", Count: count, Seconds: seconds, P50: at(50), P99: at(99)}
}
