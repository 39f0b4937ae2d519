package main

import (
	"time"

	"github.com/gorilla/websocket"
)

// serve answers one request, in a goroutine of its own. As in the original an unknown method,
// and a payload that can't be decoded, get no answer.
func (l *link) serve(request envelope) {
	answer, known := handle(request)
	if !known {
		l.unknownMethods.Add(1)
		return
	}
	wrong := &l.options.wrong
	if wrong.neverAnswer {
		return
	}
	time.Sleep(wrong.lateAnswers)
	if wrong.strayAnswers {
		stray := answer
		stray.callID = newCallID()
		if l.write(websocket.BinaryMessage, stray.encode()) != nil {
			return
		}
	}
	times := 1
	if wrong.duplicateAnswers {
		times = 2
	}
	for ; times > 0; times-- {
		// A lost connection is the reader's to report; this answer has no taker any more.
		if l.write(websocket.BinaryMessage, answer.encode()) != nil {
			return
		}
	}
	l.answered.Add(1)
}

// handle runs the method: Ping and Gnip give the body back, Echo does so after the request's
// delayMs, Fail answers with an error whose text is the body.
func handle(request envelope) (answer envelope, known bool) {
	answer = envelope{member: responseMember, callID: request.callID}
	asked, err := decodeBody(request.payload)
	if err != nil {
		return answer, false
	}
	switch request.method {
	case "Ping", "Gnip":
	case "Echo":
		time.Sleep(time.Duration(asked.delayMs) * time.Millisecond)
	case "Fail":
		answer.errorText = asked.text
		if answer.errorText == "" {
			answer.errorText = "failed on purpose"
		}
		return answer, true
	default:
		return answer, false
	}
	answer.payload = body{text: asked.text}.encode()
	return answer, true
}
