package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

const (
	shownBody  = 600      // bytes of a body that an event has
	recordable = 64 << 10 // bytes of a response in which its head is looked for
)

var errTimeOut = errors.New("time out")

// joined are messages as one stream of bytes, for one response. An empty one is skipped if it is
// the first; elsewhere it is the end, so a second one, or one inside a response, breaks it.
type joined struct {
	link    *link
	message io.Reader
	count   int // of messages begun
	fresh   bool
	record  bytes.Buffer
}

func (j *joined) Read(buffer []byte) (int, error) {
	for {
		if j.message == nil {
			message, err := j.link.nextReader()
			if err != nil {
				return 0, err
			}
			j.message, j.fresh = message, true
			j.count++
		}
		size, err := j.message.Read(buffer)
		if size > 0 {
			j.fresh = false
			if room := recordable - j.record.Len(); room > 0 {
				j.record.Write(buffer[:min(size, room)])
			}
			return size, nil
		}
		if err == nil {
			continue // a frame without bytes
		}
		if !errors.Is(err, io.EOF) {
			j.link.end(err)
			return 0, err
		}
		j.message = nil
		if j.fresh {
			j.link.violation("an empty message")
			if j.count > 1 {
				return 0, io.EOF
			}
		}
	}
}

// head has the fields of the response as they came.
func (j *joined) head() [][2]string {
	fields := [][2]string{}
	lines := strings.Split(latin1(j.record.Bytes()), "\n")
	for _, line := range lines[1:] {
		line = strings.TrimSuffix(line, "\r")
		name, value, found := strings.Cut(line, ":")
		if !found {
			break
		}
		fields = append(fields, [2]string{name, strings.TrimSpace(value)})
	}
	return fields
}

// pairs are fields, sorted by their names.
func pairs(fields http.Header) [][2]string {
	list := [][2]string{}
	for name, values := range fields {
		for _, value := range values {
			list = append(list, [2]string{name, latin1([]byte(value))})
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i][0] < list[j][0] })
	return list
}

func (l *link) makeRequest(told command) (*http.Request, error) {
	content := fromLatin1(told.Body)
	if told.BodySize > 0 {
		content = pattern(told.BodySize)
	}
	var body io.Reader
	switch {
	case told.Chunked:
		body = io.MultiReader(bytes.NewReader(content)) // of no known length
	case len(content) > 0:
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequest(told.Method, "http://"+l.opts.host+told.Path, body)
	if err != nil {
		return nil, err
	}
	for name, value := range told.Headers {
		request.Header.Set(name, string(fromLatin1(value)))
	}
	for name, value := range told.Trailers {
		if request.Trailer == nil {
			request.Trailer = http.Header{}
		}
		request.Trailer.Set(name, value)
	}
	if request.Header.Get("X-Correlation-Id") == "" {
		request.Header.Set("X-Correlation-Id", newUUID())
	}
	return request, nil
}

// call makes a request and reports how it ends; calls take turns.
func (l *link) call(told command) {
	request, err := l.makeRequest(told)
	if err == nil {
		l.calling.Lock()
		err = l.send(request)
		if err != nil {
			l.calling.Unlock()
		}
	}
	if err != nil {
		l.report.Emit("answer", events.Fields{"id": told.ID, "error": err.Error()})
		return
	}
	type headOrError struct {
		response *http.Response
		err      error
	}
	heads := make(chan headOrError, 1)
	source := &joined{link: l}
	buffer := bufio.NewReader(source)
	go func() {
		response, err := http.ReadResponse(buffer, request)
		heads <- headOrError{response, err}
	}()
	timer := time.After(l.opts.headTimeout)
	select {
	case head := <-heads:
		defer l.calling.Unlock()
		if head.err != nil {
			if l.opts.watch {
				timer = time.After(0)
			} else {
				head.err = errTimeOut // any failure shows as one, after all of the time
			}
			<-timer
			l.report.Emit("answer", events.Fields{"id": told.ID, "error": head.err.Error()})
			return
		}
		l.tell(told, request, head.response, source, buffer)
	case <-timer:
		l.report.Emit("answer", events.Fields{"id": told.ID, "error": errTimeOut.Error()})
		// It still reads: the next call has its turn when something has come.
		go func() {
			defer l.calling.Unlock()
			if head := <-heads; head.err == nil {
				l.violation("a response after the time out")
				l.leave(-1)
			}
		}()
	}
}

func (l *link) send(request *http.Request) error {
	writer, err := l.open(websocket.TextMessage)
	if err != nil {
		return err
	}
	if err := request.Write(writer); err != nil {
		return err
	}
	return writer.Close()
}

// tell reads the response's body and reports all of it.
func (l *link) tell(
	told command, request *http.Request, response *http.Response, source *joined,
	buffer *bufio.Reader,
) {
	fields := source.head()
	wanted := request.Header.Get("X-Correlation-Id")
	if !slices.Contains(response.Header["X-Correlation-Id"], wanted) {
		l.violation("a response to %q, not to %q", response.Header.Get("X-Correlation-Id"), wanted)
	}
	body, err := io.ReadAll(response.Body)
	if err == nil && buffer.Buffered() > 0 {
		l.violation("bytes behind a response")
	}
	sum := sha256.Sum256(body)
	members := events.Fields{
		"id": told.ID, "status": response.StatusCode, "line": response.Proto + " " + response.Status,
		"headers": fields, "length": len(body), "sha256": hex.EncodeToString(sum[:]),
		"body": latin1(body[:min(len(body), shownBody)]), "trailers": pairs(response.Trailer),
		"messages": source.count,
	}
	if err != nil {
		members["error"] = err.Error()
	}
	l.report.Emit("answer", members)
}
