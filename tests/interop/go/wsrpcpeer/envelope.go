package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The members of an envelope's oneof, by their field numbers.
const (
	noMember       protowire.Number = 0
	requestMember  protowire.Number = 2
	responseMember protowire.Number = 3
)

// envelope is a request (method, callID, payload) or a response (callID, payload, errorText).
type envelope struct {
	member    protowire.Number
	method    string
	callID    string
	payload   []byte
	errorText string
}

var (
	errNotUTF8 = errors.New("a string field isn't UTF-8")
	// A call id must be a UUID version 4 in lower case, whatever its variant.
	callIDForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

func newCallID() string {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		panic(err)
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	text := hex.EncodeToString(raw[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

func appendField(out []byte, number protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return out // proto3: a field at its default isn't written
	}
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), value)
}

func (e envelope) encode() []byte {
	var inner []byte
	if e.member == requestMember {
		inner = appendField(inner, 1, []byte(e.method))
		inner = appendField(inner, 2, []byte(e.callID))
		inner = appendField(inner, 3, e.payload)
	} else {
		inner = appendField(inner, 1, []byte(e.callID))
		inner = appendField(inner, 2, e.payload)
		inner = appendField(inner, 3, []byte(e.errorText))
	}
	out := protowire.AppendTag(nil, e.member, protowire.BytesType)
	return protowire.AppendBytes(out, inner)
}

// eachField calls visit for every length-delimited field of a message; all others are skipped.
func eachField(data []byte, visit func(protowire.Number, []byte) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return protowire.ParseError(n)
			}
			data = data[n:]
			if err := visit(number, value); err != nil {
				return err
			}
			continue
		}
		n = protowire.ConsumeFieldValue(number, kind, data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
	}
	return nil
}

func text(value []byte) (string, error) {
	if !utf8.Valid(value) {
		return "", errNotUTF8
	}
	return string(value), nil
}

// decodeEnvelope reads an envelope. A member given twice is merged, of two members the last wins.
func decodeEnvelope(data []byte) (envelope, error) {
	var e envelope
	err := eachField(data, func(number protowire.Number, inner []byte) error {
		if number != requestMember && number != responseMember {
			return nil
		}
		if e.member != number {
			e = envelope{member: number}
		}
		return eachField(inner, e.set)
	})
	return e, err
}

func (e *envelope) set(number protowire.Number, value []byte) (err error) {
	switch {
	case e.member == requestMember && number == 1:
		e.method, err = text(value)
	case e.member == requestMember && number == 2, e.member == responseMember && number == 1:
		e.callID, err = text(value)
	case e.member == requestMember && number == 3, e.member == responseMember && number == 2:
		e.payload = value
	case e.member == responseMember && number == 3:
		e.errorText, err = text(value)
	}
	return err
}

// body is the user message of every method here: {string body = 1; int64 delayMs = 2}.
type body struct {
	text    string
	delayMs int64
}

func (b body) encode() []byte {
	out := appendField(nil, 1, []byte(b.text))
	if b.delayMs != 0 {
		out = protowire.AppendTag(out, 2, protowire.VarintType)
		out = protowire.AppendVarint(out, uint64(b.delayMs))
	}
	return out
}

func decodeBody(data []byte) (body, error) {
	var b body
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return b, protowire.ParseError(n)
		}
		data = data[n:]
		switch {
		case number == 1 && kind == protowire.BytesType:
			value, m := protowire.ConsumeBytes(data)
			if m < 0 {
				return b, protowire.ParseError(m)
			}
			if !utf8.Valid(value) {
				return b, errNotUTF8
			}
			b.text, n = string(value), m
		case number == 2 && kind == protowire.VarintType:
			value, m := protowire.ConsumeVarint(data)
			if m < 0 {
				return b, protowire.ParseError(m)
			}
			b.delayMs, n = int64(value), m
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
			if n < 0 {
				return b, protowire.ParseError(n)
			}
		}
		data = data[n:]
	}
	return b, nil
}
