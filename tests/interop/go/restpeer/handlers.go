package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"
)

// handlers are what a serving end answers.
var handlers = routes()

func routes() http.Handler {
	mux := http.NewServeMux()
	for path, handler := range map[string]http.HandlerFunc{
		"/simple":      func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello, wirecore!") },
		"/body/{size}": writeBody,
		"/empty":       func(http.ResponseWriter, *http.Request) {},
		"/writes": func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				w.Write(pattern(1500))
			}
		},
		"/declared":      declare,
		"/stream":        stream,
		"/flushheaders":  flushHead,
		"/trailers":      trail,
		"/echo":          echo,
		"/slow":          slow,
		"/headers":       ownHeaders,
		"/dump":          dump,
		"/status/{code}": writeStatus,
		"/notify":        notify,
	} {
		mux.HandleFunc(path, handler)
	}
	return mux
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// number is a parameter of the query, or a default.
func number(r *http.Request, name string, otherwise int) int {
	value, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return otherwise
	}
	return value
}

func writeBody(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.PathValue("size"))
	if err != nil || size < 0 {
		http.Error(w, "no size", http.StatusBadRequest)
		return
	}
	w.Write(pattern(size))
}

func declare(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "5000")
	for range 5 {
		w.Write(pattern(1000))
		if r.URL.Query().Get("flush") != "" {
			flush(w)
		}
	}
}

func stream(w http.ResponseWriter, r *http.Request) {
	for index := range number(r, "n", 3) {
		fmt.Fprintf(w, "Chunk #%d\n", index+1)
		flush(w)
		time.Sleep(time.Duration(number(r, "ms", 0)) * time.Millisecond)
	}
}

func flushHead(w http.ResponseWriter, _ *http.Request) {
	flush(w)
	io.WriteString(w, "after the headers")
}

func trail(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Trailer", "X-Sum, X-Count")
	io.WriteString(w, "body with trailers")
	w.Header().Set("X-Sum", "abc123")
	w.Header().Set("X-Count", "18")
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	w.Header().Set("X-Read", strconv.Itoa(len(body)))
	w.Header().Set("X-Sha256", hex.EncodeToString(sum[:]))
	if err != nil {
		w.Header().Set("X-Read-Error", err.Error())
	}
	for name, values := range r.Trailer {
		w.Header()["X-Trailer-"+name] = values
	}
	w.Write(body)
}

func slow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(number(r, "ms", 100)) * time.Millisecond)
	io.WriteString(w, "slow")
}

func ownHeaders(w http.ResponseWriter, _ *http.Request) {
	fields := w.Header()
	fields.Set("Zulu", "last")
	fields.Set("Alpha", "first")
	fields.Set("Connection", "close")
	fields.Set("Content-Type", "text/x-own")
	fields.Add("Set-Cookie", "a=1")
	fields.Add("Set-Cookie", "b=2")
	fields.Set("X-Correlation-Id", "handlers-own")
	io.WriteString(w, "ok")
}

func dump(w http.ResponseWriter, r *http.Request) {
	text, err := httputil.DumpRequest(r, true)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(text)
}

func writeStatus(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 100 || code > 999 {
		http.Error(w, "no status", http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
}

// notify streams until the peer has gone.
func notify(w http.ResponseWriter, r *http.Request) {
	pause := time.Duration(number(r, "ms", 50)) * time.Millisecond
	for {
		io.WriteString(w, "still here\n")
		flush(w)
		select {
		case <-w.(interface{ Gone() <-chan struct{} }).Gone():
			return
		case <-time.After(pause):
		}
	}
}
