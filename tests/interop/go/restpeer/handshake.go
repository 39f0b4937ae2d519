package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/websocket"
	"wirecore.test/peers/events"
)

// Types of the three messages, in their order.
const (
	typeMetadata = "ClientHandshakeMetaData"
	typeID       = "ServerHandshakeConnectionID"
	typeAck      = "ClientHandshakeAckFrame"
)

// serverBuffer makes a server's frames, and how much of a request one read gives it.
const serverBuffer = 1024

const dialTimeout = 45 * time.Second

func newUUID() string {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		panic(err)
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // RFC 9562, 5.4
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}

// expect reads a message of the handshake into target and checks its type.
func expect(ws *websocket.Conn, wanted string, kind *string, target any) error {
	_, message, err := ws.NextReader()
	if err != nil {
		return err
	}
	// One value of the message: what follows it is nobody's business.
	if err := json.NewDecoder(message).Decode(target); err != nil {
		return fmt.Errorf("no %s but bad JSON: %w", wanted, err)
	}
	if *kind != wanted {
		return fmt.Errorf("no %s but %q", wanted, *kind)
	}
	return nil
}

func listen(
	ctx context.Context, opts *options, report *events.Reporter, arrivals chan<- *link,
) (net.Listener, error) {
	listener, err := net.Listen("tcp", opts.address)
	if err != nil {
		return nil, err
	}
	upgrader := websocket.Upgrader{ReadBufferSize: serverBuffer, WriteBufferSize: serverBuffer}
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			report.Emit("refused", events.Fields{"reason": err.Error()})
			return
		}
		one := newLink(ws, opts, report)
		meta, err := one.greetClient()
		if err != nil {
			// No answer and no end: the client is left waiting.
			report.Emit("refused", events.Fields{"reason": err.Error()})
			<-ctx.Done()
			return
		}
		report.Emit("connected", events.Fields{
			"id": one.id, "metadata": meta, "path": r.URL.RequestURI(),
			"subprotocols": websocket.Subprotocols(r),
		})
		arrivals <- one
	}
	server := &http.Server{
		Handler: http.HandlerFunc(upgrade), ErrorLog: log.New(io.Discard, "", 0),
	}
	go server.Serve(listener)
	report.Emit("listening", events.Fields{"address": listener.Addr().String()})
	return listener, nil
}

func (l *link) greetClient() (any, error) {
	var first struct {
		Type string
		Meta any
	}
	if err := expect(l.ws, typeMetadata, &first.Type, &first); err != nil {
		return nil, err
	}
	l.id = newUUID()
	if err := l.ws.WriteJSON(struct{ Type, ConnectionID string }{typeID, l.id}); err != nil {
		return nil, err
	}
	var last struct{ Type string }
	return first.Meta, expect(l.ws, typeAck, &last.Type, &last)
}

func dial(ctx context.Context, opts *options, report *events.Reporter) (*link, error) {
	dialer := websocket.Dialer{HandshakeTimeout: dialTimeout, Subprotocols: opts.offers}
	fields := http.Header{}
	if opts.origin != "" {
		fields.Set("Origin", opts.origin)
	}
	ws, response, err := dialer.DialContext(ctx, opts.url, fields)
	if err != nil {
		members := events.Fields{"reason": err.Error()}
		if response != nil {
			members["status"] = response.StatusCode
		}
		report.Emit("refused", members)
		return nil, err
	}
	one := newLink(ws, opts, report)
	if chosen := response.Header.Get("Sec-WebSocket-Protocol"); chosen != "" &&
		!slices.Contains(opts.offers, chosen) {
		one.violation("the subprotocol %q wasn't offered", chosen)
	}
	if chosen := response.Header.Get("Sec-WebSocket-Extensions"); chosen != "" {
		one.violation("the extension %q wasn't offered", chosen)
	}
	if err := one.greetServer(); err != nil {
		report.Emit("refused", events.Fields{"reason": err.Error()})
		return nil, err
	}
	report.Emit("connected", events.Fields{
		"id": one.id, "metadata": opts.meta,
		"subprotocol": response.Header.Get("Sec-WebSocket-Protocol"),
	})
	return one, nil
}

func (l *link) greetServer() error {
	err := l.ws.WriteJSON(struct {
		Type string
		Meta any
	}{typeMetadata, l.opts.meta})
	if err != nil {
		return err
	}
	var answer struct{ Type, ConnectionID string }
	if err := expect(l.ws, typeID, &answer.Type, &answer); err != nil {
		return err
	}
	l.id = answer.ConnectionID
	return l.ws.WriteJSON(struct{ Type string }{typeAck})
}
