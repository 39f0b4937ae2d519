package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

// misbehaviour is what this peer does wrong on purpose; the zero value behaves.
type misbehaviour struct {
	neverAnswer      bool
	lateAnswers      time.Duration
	duplicateAnswers bool
	strayAnswers     bool
	stopReading      int
	garbage          string
	noPong           bool
}

func (m *misbehaviour) define(set *flag.FlagSet) {
	set.BoolVar(&m.neverAnswer, "never-answer", false, "read requests and answer none")
	set.DurationVar(&m.lateAnswers, "late-answers", 0, "hold every answer back for this long")
	set.BoolVar(&m.duplicateAnswers, "duplicate-answers", false, "send every answer twice")
	set.BoolVar(&m.strayAnswers, "stray-answers", false,
		"before every answer send one to a call that nobody made")
	set.IntVar(&m.stopReading, "stop-reading", -1,
		"read this many messages, then nothing more, not even pings (-1: read on)")
	set.StringVar(&m.garbage, "garbage", "",
		"first send messages that are no envelopes (envelopes), a reserved opcode (opcode), "+
			"or a frame masked the wrong way (mask)")
	set.BoolVar(&m.noPong, "no-pong", false, "leave pings unanswered")
}

// garbageMessages are no valid envelopes, or envelopes without a member: to be skipped.
var garbageMessages = [][]byte{
	{},                                   // no member
	[]byte("hello"),                      // plain text
	{0x12, 0x7f, 0x0a},                   // a length beyond the end
	{0x12, 0xff},                         // half a varint
	{0x02, 0x00},                         // field number 0
	{0x16, 0x00},                         // wire type 6
	{0x14},                               // the end of a group that never began
	{0x12, 0x04, 0x0a, 0x02, 0xff, 0xfe}, // a method that isn't UTF-8
	{0x1a, 0x03, 0x1a, 0x01, 0xff},       // an error text that isn't UTF-8
	{0x10, 0x05},                         // field 2 as a varint: unknown, so no member
	{0x1a, 0x00},                         // a response to the empty call id
}

// sendGarbage sends what --garbage asks for, before anything else on the connection.
func (l *link) sendGarbage() error {
	switch l.options.wrong.garbage {
	case "":
		return nil
	case "envelopes":
		for _, message := range garbageMessages {
			for _, opcode := range []int{websocket.BinaryMessage, websocket.TextMessage} {
				if err := l.write(opcode, message); err != nil {
					return err
				}
			}
		}
		return nil
	case "opcode":
		// A reserved opcode in an otherwise good frame.
		if l.dialled {
			return l.writeRaw([]byte{0x83, 0x80, 0, 0, 0, 0})
		}
		return l.writeRaw([]byte{0x83, 0x00})
	case "mask":
		// A client's frame must be masked, a server's must not (RFC 6455, 5.1).
		if l.dialled {
			return l.writeRaw([]byte{0x82, 0x00})
		}
		return l.writeRaw([]byte{0x82, 0x80, 0, 0, 0, 0})
	}
	return fmt.Errorf("--garbage: unknown kind %q", l.options.wrong.garbage)
}

func (l *link) writeRaw(frame []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	_, err := l.ws.UnderlyingConn().Write(frame)
	return err
}
