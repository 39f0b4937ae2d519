package main

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

// fields are the members of an event beside its name and time.
type fields map[string]any

// reporter writes events to stdout, one JSON object a line. Every event has "event", its name,
// and "t_ms", milliseconds since the program started.
type reporter struct {
	mu      sync.Mutex
	encoder *json.Encoder
	started time.Time
}

func newReporter() *reporter {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return &reporter{encoder: encoder, started: time.Now()}
}

func (r *reporter) emit(event string, members fields) {
	line := fields{"event": event, "t_ms": time.Since(r.started).Milliseconds()}
	for name, value := range members {
		line[name] = value
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.encoder.Encode(line); err != nil {
		// Nobody reads the events any more: there is nothing left to run for.
		os.Exit(exitNoReader)
	}
}
