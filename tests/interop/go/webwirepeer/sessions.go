package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"
)

// session is one of a user, as JSON has it on the wire.
type session struct {
	Key        string         `json:"k"`
	Created    time.Time      `json:"c"`
	LastLookup time.Time      `json:"l"`
	Info       map[string]any `json:"i,omitempty"`
}

// sessions are those of a server, in memory, and in a file where that has a name: then they
// outlive the process.
type sessions struct {
	file string
	most int // connections of one session, 0 for any number

	mu    sync.Mutex
	known map[string]session
	users map[string]map[*connection]bool
}

func openSessions(file string, most int) (*sessions, error) {
	s := &sessions{
		file: file, most: most,
		known: make(map[string]session), users: make(map[string]map[*connection]bool),
	}
	if file == "" {
		return s, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(data, &s.known)
}

// save writes the file anew; a kill leaves the old one or the new one.
func (s *sessions) save() error {
	if s.file == "" {
		return nil
	}
	data, err := json.Marshal(s.known)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.file+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(s.file+".new", s.file)
}

// create makes a session with info for c.
func (s *sessions) create(c *connection, info map[string]any) (session, error) {
	random := make([]byte, 48)
	if _, err := rand.Read(random); err != nil {
		return session{}, err
	}
	now := time.Now().UTC()
	made := session{base64.URLEncoding.EncodeToString(random), now, now, info}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[made.Key] = made
	s.users[made.Key] = map[*connection]bool{c: true}
	return made, s.save()
}

// restore gives c the session of key, as it was before this lookup; the kind says why it doesn't.
func (s *sessions) restore(c *connection, key string) (session, kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.known[key]
	if s.most > 0 && len(s.users[key]) >= s.most {
		return session{}, replyMaxConnections
	}
	if !ok {
		return session{}, replySessionNotFound
	}
	if s.users[key] == nil {
		s.users[key] = make(map[*connection]bool)
	}
	s.users[key][c] = true
	looked := found
	looked.LastLookup = time.Now().UTC()
	s.known[key] = looked
	if s.save() != nil {
		return session{}, replyInternalError
	}
	return found, reply
}

// leave says that c doesn't use the session any more; it stays.
func (s *sessions) leave(c *connection, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users[key], c)
	if len(s.users[key]) == 0 {
		delete(s.users, key)
	}
}

// end is leave, after which the session is forgotten if c was the last that used it.
func (s *sessions) end(c *connection, key string) error {
	s.leave(c, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[key] == nil {
		delete(s.known, key)
	}
	return s.save()
}

// count is how many sessions are known, and how many of them are in use.
func (s *sessions) count() (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known), len(s.users)
}
