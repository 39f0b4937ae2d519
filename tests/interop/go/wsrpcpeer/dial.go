package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

const redialDelay = 100 * time.Millisecond

// errRefused says that the one attempt failed; why was reported.
var errRefused = errors.New("the connection was refused")

func dial(ctx context.Context, opts *options, report *reporter, commands <-chan command) error {
	config, err := tlsConfig(opts.key, &allowList{keys: opts.keys})
	if err != nil {
		return err
	}
	for {
		err := dialOnce(ctx, config, opts, report, commands)
		if !opts.reconnect {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(redialDelay):
		}
	}
}

// dialOnce connects and lives until the connection ends.
func dialOnce(
	ctx context.Context, config *tls.Config, opts *options, report *reporter, commands <-chan command,
) error {
	stage := "connect"
	dialer := websocket.Dialer{
		HandshakeTimeout: 45 * time.Second,
		WriteBufferSize:  4096, // so longer messages leave in fragments, as the protocol's clients do
		NetDialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			stage = "tls"
			conn := tls.Client(raw, config)
			if err := conn.HandshakeContext(ctx); err != nil {
				raw.Close()
				return nil, err
			}
			// The server judges our key after this handshake: its refusal shows in this stage.
			stage = "upgrade"
			return conn, nil
		},
	}
	ws, response, err := dialer.DialContext(ctx, "wss://"+opts.address, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to end before it was connected
		}
		refusal := fields{"stage": stage, "reason": err.Error()}
		if response != nil {
			refusal["status"] = response.StatusCode
		}
		report.Emit("refused", refusal)
		return errRefused
	}
	secured, ok := ws.UnderlyingConn().(*tls.Conn)
	if !ok {
		return fmt.Errorf("not a TLS connection: %T", ws.UnderlyingConn())
	}
	state := secured.ConnectionState()
	key, err := peerKey(&state)
	if err != nil {
		return err
	}
	ws.SetReadLimit(opts.readLimit)
	l := newLink(ws, key, true, opts, report)
	go func() {
		for {
			select {
			case <-l.ended:
				return
			case one := <-commands:
				switch one.name {
				case "calls":
					go l.load()
				case "close":
					go l.close()
				}
			}
		}
	}()
	l.run(ctx)
	return nil
}
