package main

import (
	"net"

	"github.com/lxzan/gws"
)

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnPing(socket *gws.Conn, payload []byte) {
	_ = socket.WritePong(payload) // a failed write ends the connection, which its reader notices
}

func (gwsEcho) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = socket.WriteMessage(message.Opcode, message.Bytes())
}

func serveGws(listener net.Listener) error {
	return gws.NewServer(gwsEcho{}, nil).RunListener(listener)
}

// gwsDriver gets the answers from the library's read loop and stops it through the connection.
type gwsDriver struct {
	gws.BuiltinEventHandler
	window *window
	failed error
}

func (d *gwsDriver) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	if d.failed != nil || d.window.over {
		return
	}
	d.failed = d.window.take(message.Bytes())
	if d.failed == nil && !d.window.over {
		d.failed = socket.WriteMessage(gws.OpcodeBinary, d.window.next())
	}
	if d.failed != nil || d.window.over {
		_ = socket.NetConn().Close() // ends ReadLoop; what comes of it is no news
	}
}

func driveGws(url string, w *window) error {
	d := &gwsDriver{window: w}
	socket, _, err := gws.NewClient(d, &gws.ClientOption{Addr: url})
	if err != nil {
		return err
	}
	w.start()
	for range w.inFlight {
		if err := socket.WriteMessage(gws.OpcodeBinary, w.next()); err != nil {
			return err
		}
	}
	socket.ReadLoop()
	return d.failed
}
