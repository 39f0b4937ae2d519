package main

import (
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

func serveGorilla(listener net.Listener) error {
	var upgrader websocket.Upgrader
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the upgrader has answered
		}
		defer ws.Close()
		for {
			opcode, message, err := ws.ReadMessage()
			if err != nil {
				return
			}
			if err := ws.WriteMessage(opcode, message); err != nil {
				return
			}
		}
	}))
}

func driveGorilla(url string, w *window) error {
	ws, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	w.start()
	for range w.inFlight {
		if err := ws.WriteMessage(websocket.BinaryMessage, w.next()); err != nil {
			return err
		}
	}
	for {
		_, answer, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if err := w.take(answer); err != nil || w.over {
			return err
		}
		if err := ws.WriteMessage(websocket.BinaryMessage, w.next()); err != nil {
			return err
		}
	}
}
