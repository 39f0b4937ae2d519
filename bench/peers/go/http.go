package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// connections has room for every connection that a row has under way, so that none is dialled
// twice: by default two are kept for a host.
func connections(w int) *http.Transport {
	return &http.Transport{
		MaxIdleConns:        w,
		MaxIdleConnsPerHost: w,
		DisableCompression:  true,
	}
}

// upstreamInput is the upstream's standard input. It is kept: collected as garbage, it is closed.
var upstreamInput io.WriteCloser

// startUpstream starts the server behind the proxy: a command as JSON has lists, of a peer that
// announces its port. It ends when its standard input is closed, and so with this process.
func startUpstream(command string) (int, error) {
	var words []string
	if err := json.Unmarshal([]byte(command), &words); err != nil || len(words) == 0 {
		return 0, fmt.Errorf("option upstream is a list of words, as JSON has it: %q", command)
	}
	child := exec.Command(words[0], words[1:]...)
	child.Stderr = os.Stderr
	var err error
	if upstreamInput, err = child.StdinPipe(); err != nil {
		return 0, err
	}
	output, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	var announced struct {
		Port int `json:"port"`
	}
	if err := json.NewDecoder(output).Decode(&announced); err != nil {
		return 0, fmt.Errorf("the upstream announced no port: %w", err)
	}
	return announced.Port, nil
}

// proxyTo is a server that passes everything on to a port of this machine.
func proxyTo(port int) func(net.Listener) error {
	upstream := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(upstream)
			request.SetXForwarded()
			request.Out.Host = request.In.Host
		},
		Transport: connections(1024),
	}
	handler := func(writer http.ResponseWriter, request *http.Request) {
		// Else the server closes a request's body as the response begins, though the transport may
		// just be about to learn of its end; it then gives the upstream's connection up.
		_ = http.NewResponseController(writer).EnableFullDuplex()
		proxy.ServeHTTP(writer, request)
	}
	return func(listener net.Listener) error { return http.Serve(listener, http.HandlerFunc(handler)) }
}

// driveHTTP posts over HTTP/1.1 with connections kept alive, and compares what comes back. With
// inMegabytes the figure is what went each way, in MB a second, and not how many requests.
func driveHTTP(port int, w *window, inMegabytes bool) (result, error) {
	target := fmt.Sprintf("http://127.0.0.1:%d/echo", port)
	client := &http.Client{Transport: connections(w.inFlight)}
	begin := time.Now().Add(time.Duration(w.warmUp * float64(time.Second)))
	end := begin.Add(time.Duration(w.seconds * float64(time.Second)))
	latencies := make([][]time.Duration, w.inFlight)
	failures := make([]error, w.inFlight)
	var callers sync.WaitGroup
	for caller := range w.inFlight {
		callers.Add(1)
		go func() {
			defer callers.Done()
			latencies[caller], failures[caller] = post(client, target, w.size, caller, begin, end)
		}()
	}
	time.Sleep(time.Until(begin))
	if err := emit(map[string]string{"event": "begin"}); err != nil {
		return result{}, err
	}
	time.Sleep(time.Until(end))
	if err := emit(map[string]string{"event": "end"}); err != nil {
		return result{}, err
	}
	callers.Wait()
	for _, err := range failures {
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(latencies...)
	found := figures(all, w.seconds)
	found.Checked = len(all)
	if inMegabytes {
		found.Value = float64(len(all)) * float64(w.size) / w.seconds / 1e6
	}
	return found, nil
}

// post makes one request after the other until end. It returns how long those took that were
// answered between begin and end.
func post(
	client *http.Client, target string, size, caller int, begin, end time.Time,
) ([]time.Duration, error) {
	var latencies []time.Duration
	body := bytes.Repeat([]byte{byte(caller)}, size)
	answer := &bytes.Buffer{}
	for number := uint64(0); ; number++ {
		writeNumber(body, number)
		started := time.Now()
		response, err := client.Post(target, "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		answer.Reset()
		_, err = io.Copy(answer, response.Body)
		_ = response.Body.Close()
		if err != nil {
			return nil, err
		}
		if response.StatusCode != http.StatusOK || !bytes.Equal(answer.Bytes(), body) {
			return nil, fmt.Errorf("request %d was answered with %s, and not with its body",
				number, response.Status)
		}
		now := time.Now()
		if now.After(end) {
			return latencies, nil
		}
		if now.After(begin) {
			latencies = append(latencies, now.Sub(started))
		}
	}
}
