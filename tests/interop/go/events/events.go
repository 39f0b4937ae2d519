// Package events is how the peers of the tests report what happens to them.
package events

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

// ExitNoReader is the exit code of a program whose events nobody reads any more.
const ExitNoReader = 5

// Fields are the members of an event beside its name and time.
type Fields map[string]any

// Reporter writes events to stdout, one JSON object a line. Every event has "event", its name,
// and "t_ms", milliseconds since the program started.
type Reporter struct {
	mu      sync.Mutex
	encoder *json.Encoder
	started time.Time
}

// New is a Reporter whose time begins now.
func New() *Reporter {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return &Reporter{encoder: encoder, started: time.Now()}
}

// Emit reports the event that is called event.
func (r *Reporter) Emit(event string, members Fields) {
	line := Fields{"event": event, "t_ms": time.Since(r.started).Milliseconds()}
	for name, value := range members {
		line[name] = value
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.encoder.Encode(line); err != nil {
		// Nobody reads the events any more: there is nothing left to run for.
		os.Exit(ExitNoReader)
	}
}
