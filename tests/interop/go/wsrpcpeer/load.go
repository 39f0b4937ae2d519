package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// progress is reported after so many calls that went well, for who wants to interfere midway.
const progress = 500

// tally counts how calls ended.
type tally struct {
	ok, failed, wrong, lost, timedOut atomic.Int64

	mu        sync.Mutex
	latencies []time.Duration
	lastError string
}

// load calls the peer --calls times with --inflight at once and reports the outcome. Once the
// connection has ended it makes no more calls; "lost" are those that it interrupted.
func (l *link) load() {
	total := l.options.calls
	if total == 0 {
		return
	}
	l.loading.Lock()
	defer l.loading.Unlock()
	var (
		result  tally
		workers sync.WaitGroup
		next    atomic.Int64
		started = time.Now()
	)
	for range min(l.options.inflight, total) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := next.Add(1); n <= int64(total) && !l.hasEnded(); n = next.Add(1) {
				l.callOnce(&result, n)
			}
		}()
	}
	workers.Wait()
	slices.Sort(result.latencies)
	l.report.Emit("calls", fields{
		"key": l.peer, "method": l.options.method,
		"ok": result.ok.Load(), "failed": result.failed.Load(), "wrong": result.wrong.Load(),
		"lost": result.lost.Load(), "timed_out": result.timedOut.Load(),
		"p50_us": percentile(result.latencies, 50), "p99_us": percentile(result.latencies, 99),
		"seconds": time.Since(started).Seconds(), "last_error": result.lastError,
	})
}

func (l *link) callOnce(result *tally, n int64) {
	text := bodyText(n, l.options.bodySize)
	ctx, cancel := context.WithTimeout(context.Background(), l.options.callTimeout)
	defer cancel()
	began := time.Now()
	request := body{text: text, delayMs: l.options.delay.Milliseconds()}
	answer, err := l.call(ctx, l.options.method, request.encode())
	took := time.Since(began)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		result.timedOut.Add(1)
	case err != nil:
		result.lost.Add(1)
	case answer.errorText != "":
		result.failed.Add(1)
		err = errors.New(answer.errorText)
	default:
		reply, bad := decodeBody(answer.payload)
		if bad != nil || reply.text != text {
			result.wrong.Add(1)
			err = errors.New("the reply doesn't hold the request's body")
			break
		}
		if result.ok.Add(1) == progress {
			l.report.Emit("progress", fields{"key": l.peer, "ok": progress})
		}
	}
	result.mu.Lock()
	defer result.mu.Unlock()
	result.latencies = append(result.latencies, took)
	if err != nil {
		result.lastError = err.Error()
	}
}

// bodyText is a text of size bytes that differs from call to call as far as size allows.
func bodyText(n int64, size int) string {
	text := strconv.FormatInt(n, 10) + "."
	if len(text) < size {
		text += strings.Repeat("abcdefghijklmnopqrstuvwxyz0123456789", size/36+1)
	}
	return text[:min(size, len(text))]
}

// percentile is in microseconds; the durations are sorted.
func percentile(sorted []time.Duration, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100].Microseconds()
}
