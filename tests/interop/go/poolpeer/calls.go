package main

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

// caller is who makes calls: a pool, over whichever provider is free, or a connection.
type caller interface {
	call(method string, argument, result any) error
}

// errNoPath is what a pool says of a service that has no path.
var errNoPath = errors.New("no path is bound for this service")

// obey makes the calls of a command, each as an event of its own or, where they are many, counted.
func obey(report *events.Reporter, by caller, one command) {
	if one.Do == "load" {
		runLoad(report, by, one.load())
		return
	}
	if one.Times > 1 {
		callMany(report, by, one)
		return
	}
	answer := events.Fields{"id": one.ID, "method": one.Method}
	result, err := callOnce(by, one)
	var answered rpc.ServerError
	switch {
	case err == nil:
		answer["value"] = result
	case errors.As(err, &answered):
		answer["error"], answer["told"] = err.Error(), true
	default:
		answer["error"], answer["told"] = err.Error(), false
	}
	report.Emit("answer", answer)
}

// callOnce makes one call, and is its result as events show it.
func callOnce(by caller, one command) (any, error) {
	argumentKind, err := kindOf(one.Kind, one.Method, 0)
	if err != nil {
		return nil, err
	}
	value, err := argument(argumentKind, one.Argument)
	if err != nil {
		return nil, fmt.Errorf("the command's argument: %w", err)
	}
	resultKind, err := kindOf(one.Result, one.Method, 1)
	if err != nil {
		return nil, err
	}
	if resultKind == nil {
		return nil, by.call(one.Method, value, nil) // any result is passed over
	}
	result := reflect.New(resultKind)
	if err := by.call(one.Method, value, result.Interface()); err != nil {
		return nil, err
	}
	return shown(result.Interface()), nil
}

// callMany makes one.Times calls of Arith.Multiply with different numbers, one.InFlight at once,
// and checks each product.
func callMany(report *events.Reporter, by caller, one command) {
	var (
		ok, failed, wrong, next atomic.Int64
		lastError               atomic.Value
		workers                 sync.WaitGroup
	)
	for range max(one.InFlight, 1) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := int(next.Add(1)); n <= one.Times; n = int(next.Add(1)) {
				product := 0
				err := by.call("Arith.Multiply", &Args{n, -7}, &product)
				switch {
				case err != nil:
					lastError.Store(err.Error())
					failed.Add(1)
				case product != -7*n:
					wrong.Add(1)
				default:
					ok.Add(1)
				}
			}
		}()
	}
	workers.Wait()
	tally := events.Fields{
		"id": one.ID, "ok": ok.Load(), "failed": failed.Load(), "wrong": wrong.Load(),
	}
	if text := lastError.Load(); text != nil {
		tally["last_error"] = text
	}
	report.Emit("answers", tally)
}

// lostOnTheWay says whether a call that ended so may be made again elsewhere: nobody answered it.
func lostOnTheWay(err error) bool {
	return errors.Is(err, rpc.ErrShutdown) || errors.Is(err, io.ErrUnexpectedEOF) ||
		websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway,
			websocket.CloseAbnormalClosure)
}

// load is a benchmark's: how many calls are under way, and for how long.
type load struct {
	method          string
	inFlight        int
	warmUp, seconds float64
}

// runLoad runs a load, and reports what came of it.
func runLoad(report *events.Reporter, by caller, l load) {
	result, err := l.run(by, report)
	if err != nil {
		result["error"] = err.Error()
	}
	report.Emit("result", result)
}

// run keeps inFlight calls under way, each with a small struct as its argument, and is how many
// came back a second, and how long they took. It reports the measurement's begin and end.
func (l load) run(by caller, report *events.Reporter) (events.Fields, error) {
	var (
		workers   sync.WaitGroup
		mu        sync.Mutex
		all       []time.Duration
		failure   error
		began     = time.Now()
		begin     = began.Add(time.Duration(l.warmUp * float64(time.Second)))
		end       = begin.Add(time.Duration(l.seconds * float64(time.Second)))
		latencies = make([][]time.Duration, l.inFlight)
	)
	time.AfterFunc(time.Until(begin), func() { report.Emit("begin", nil) })
	for worker := range l.inFlight {
		workers.Add(1)
		go func() {
			defer workers.Done()
			taken, err := callUntil(by, l.method, worker, begin, end)
			mu.Lock()
			defer mu.Unlock()
			latencies[worker] = taken
			if err != nil {
				failure = err
			}
		}()
	}
	workers.Wait()
	report.Emit("end", nil)
	for _, each := range latencies {
		all = append(all, each...)
	}
	slices.Sort(all)
	return events.Fields{
		"count": len(all), "checked": len(all), "seconds": l.seconds, "in_flight": l.inFlight,
		"per_second": float64(len(all)) / l.seconds,
		"p50_us":     percentile(all, 50), "p99_us": percentile(all, 99),
	}, failure
}

// callUntil makes one call after another, and is how long those took that ended within the time.
func callUntil(
	by caller, method string, worker int, begin, end time.Time,
) ([]time.Duration, error) {
	taken := make([]time.Duration, 0, 1<<14)
	for n := 1; ; n++ {
		started := time.Now()
		var err error
		if method == "Arith.Multiply" {
			product := 0
			err = by.call(method, &Args{n, worker}, &product)
			if err == nil && product != n*worker {
				err = errors.New("another call's answer")
			}
		} else {
			quotient := Quotient{}
			err = by.call(method, &Args{n, worker + 1}, &quotient)
			if err == nil && quotient != (Quotient{n / (worker + 1), n % (worker + 1)}) {
				err = errors.New("another call's answer")
			}
		}
		if err != nil {
			return taken, err
		}
		now := time.Now()
		if now.After(end) {
			return taken, nil
		}
		if now.After(begin) {
			taken = append(taken, now.Sub(started))
		}
	}
}

// percentile is in microseconds; the durations are sorted.
func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*percent/100].Nanoseconds()) / 1000
}
