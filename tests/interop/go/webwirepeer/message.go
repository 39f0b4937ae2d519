package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
)

// kind is the first byte of a message.
type kind byte

// The kinds; signals, requests and replies have one for each encoding, in the order of those.
const (
	replyError           kind = 0
	replyShutdown        kind = 1
	replyInternalError   kind = 2
	replySessionNotFound kind = 3
	replyMaxConnections  kind = 4
	replySessionsOff     kind = 5
	sessionCreated       kind = 21
	sessionClosed        kind = 22
	acceptConf           kind = 23
	closeSession         kind = 31
	restoreSession       kind = 32
	heartbeat            kind = 33
	signalled            kind = 63
	request              kind = 127
	reply                kind = 191
)

type encoding byte

const (
	raw encoding = iota
	utf8Text
	utf16Text
)

var encodingNames = []string{"binary", "utf8", "utf16"}

func (e encoding) String() string { return encodingNames[e] }

func encodingOf(name string) (encoding, error) {
	if name == "" {
		name = "utf8"
	}
	found := slices.Index(encodingNames, name)
	if found < 0 {
		return raw, fmt.Errorf("no encoding is called %q", name)
	}
	return encoding(found), nil
}

// encode is text in this encoding.
func (e encoding) encode(text string) []byte {
	if e != utf16Text {
		return []byte(text)
	}
	var data []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return data
}

// decode is the text that data is in this encoding.
func (e encoding) decode(data []byte) string {
	if e != utf16Text {
		return string(data)
	}
	units := make([]uint16, 0, len(data)/2)
	for place := 0; place+1 < len(data); place += 2 {
		units = append(units, binary.LittleEndian.Uint16(data[place:]))
	}
	return string(utf16.Decode(units))
}

const (
	idSize  = 8
	maxName = 255
)

// message is one of any kind: what it doesn't have is empty. The kind of signals, requests and
// replies is the one of the binary form.
type message struct {
	kind     kind
	encoding encoding
	id       [idSize]byte
	name     string // the code of a replyError
	payload  []byte
}

func hasID(k kind) bool {
	return k <= replySessionsOff || k == closeSession || k == restoreSession || k == request || k == reply
}

func hasName(k kind) bool { return k == signalled || k == request || k == replyError }

// pads says whether a padding byte stands before the payload, so that it begins at an even place.
func (m *message) pads() bool {
	if m.encoding != utf16Text {
		return false
	}
	return m.kind == reply || len(m.name)%2 == 1
}

func printable(name string) bool {
	for _, char := range []byte(name) {
		if char < 32 || char > 126 {
			return false
		}
	}
	return true
}

// encode is the message's bytes. It refuses what the wire doesn't take.
func (m *message) encode() ([]byte, error) {
	if len(m.name) > maxName || !printable(m.name) {
		return nil, fmt.Errorf("the name or code %q can't be sent", m.name)
	}
	if m.encoding == utf16Text && len(m.payload)%2 == 1 {
		return nil, errors.New("UTF-16 of an odd length")
	}
	data := []byte{byte(m.kind) + byte(m.encoding)}
	if hasID(m.kind) {
		data = append(data, m.id[:]...)
	}
	if hasName(m.kind) {
		data = append(data, byte(len(m.name)))
		data = append(data, m.name...)
	}
	if m.pads() {
		data = append(data, 0)
	}
	data = append(data, m.payload...)
	_, err := decode(data)
	return data, err
}

var errShort = errors.New("shorter than its fields")

// decode reads a message of any kind, and is strict: an end that behaves well sends no other.
func decode(data []byte) (*message, error) {
	if len(data) == 0 {
		return nil, errors.New("an empty message")
	}
	m := &message{kind: kind(data[0])}
	for _, base := range []kind{signalled, request, reply} {
		if m.kind >= base && m.kind <= base+kind(utf16Text) {
			m.encoding = encoding(m.kind - base)
			m.kind = base
		}
	}
	rest := data[1:]
	if hasID(m.kind) {
		if len(rest) < idSize {
			return nil, errShort
		}
		rest = rest[copy(m.id[:], rest):]
	}
	if hasName(m.kind) {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return nil, errShort
		}
		length := int(rest[0])
		m.name, rest = string(rest[1:1+length]), rest[1+length:]
		if !printable(m.name) {
			return nil, fmt.Errorf("the name or code %q isn't printable ASCII", m.name)
		}
	}
	if m.pads() {
		if len(rest) == 0 || rest[0] != 0 {
			return nil, errors.New("no zero where the padding stands")
		}
		rest = rest[1:]
	}
	m.payload = rest
	return m, m.check(len(data))
}

// check applies the rules of each kind on what must be there, and what can't be.
func (m *message) check(size int) error {
	empty := len(m.payload) == 0
	switch m.kind {
	case signalled, request:
		if empty && (m.name == "" || m.kind == signalled && m.encoding == utf16Text) {
			return errors.New("no payload where there must be one")
		}
	case reply:
	case replyError:
		if m.name == "" {
			return errors.New("an error without a code")
		}
	case restoreSession, sessionCreated:
		if empty {
			return errors.New("no payload where there must be one")
		}
	case acceptConf:
		if len(m.payload) < confSize {
			return errShort
		}
	case replyShutdown, replyInternalError, replySessionNotFound, replyMaxConnections,
		replySessionsOff, sessionClosed, closeSession, heartbeat:
		if !empty {
			return errors.New("more than its fields")
		}
	default:
		return fmt.Errorf("type %d, which no message has", m.kind)
	}
	if m.encoding == utf16Text && size%2 == 1 {
		return errors.New("UTF-16 in a message of an odd length")
	}
	return nil
}

const (
	confSize     = 10
	majorVersion = 2
)

// conf is how a server is set up: the first message of every connection.
type conf struct {
	major, minor  byte
	readTimeoutMs uint32
	bufferSize    uint32
	subprotocol   string
}

func (c conf) message() *message {
	payload := []byte{c.major, c.minor}
	payload = binary.LittleEndian.AppendUint32(payload, c.readTimeoutMs)
	payload = binary.LittleEndian.AppendUint32(payload, c.bufferSize)
	return &message{kind: acceptConf, payload: append(payload, c.subprotocol...)}
}

func readConf(payload []byte) conf {
	return conf{
		major: payload[0], minor: payload[1],
		readTimeoutMs: binary.LittleEndian.Uint32(payload[2:]),
		bufferSize:    binary.LittleEndian.Uint32(payload[6:]),
		subprotocol:   string(payload[confSize:]),
	}
}
