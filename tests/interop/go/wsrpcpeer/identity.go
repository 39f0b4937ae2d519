package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
)

// parseSeed makes the private key of a 32-byte seed given in hex.
func parseSeed(text string) (ed25519.PrivateKey, error) {
	seed, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("--seed: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("--seed: invalid key length: %d, expected: %d", len(seed), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// parseKeys reads public keys in hex, separated by commas; an empty text is an empty list.
func parseKeys(text string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		key, err := hex.DecodeString(part)
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		if len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("invalid key length: %d, expected: %d", len(key), ed25519.PublicKeySize)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// allowList is the set of public keys that a peer may have; it may change while it is used.
type allowList struct {
	mu   sync.RWMutex
	keys []ed25519.PublicKey
}

func (a *allowList) replace(keys []ed25519.PublicKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = keys
}

func (a *allowList) has(key ed25519.PublicKey) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	found := 0
	for _, one := range a.keys {
		found |= subtle.ConstantTimeCompare(one, key)
	}
	return found == 1
}

// check judges a peer's certificates: exactly one, with an Ed25519 key of the list.
func (a *allowList) check(certificates []*x509.Certificate) error {
	if len(certificates) != 1 {
		return fmt.Errorf("exactly one certificate is required, got %d", len(certificates))
	}
	key, ok := certificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return fmt.Errorf("an Ed25519 public key is required, got %T", certificates[0].PublicKey)
	}
	if !a.has(key) {
		return fmt.Errorf("unknown public key %x", []byte(key))
	}
	return nil
}

// selfSigned makes a certificate that says nothing but the public key.
func selfSigned(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("own certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// tlsConfig is the TLS configuration of either role: TLS 1.3, pinned keys in place of chains.
func tlsConfig(key ed25519.PrivateKey, allowed *allowList) (*tls.Config, error) {
	certificate, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS13,
		MaxVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequireAnyClientCert,
		// The peer is known by its key alone: VerifyConnection is the whole check, and unlike
		// VerifyPeerCertificate it also runs when a session is resumed.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return allowed.check(state.PeerCertificates)
		},
	}, nil
}

// peerKey is the public key, in hex, of the peer at the other end of a connection whose
// handshake is over.
func peerKey(state *tls.ConnectionState) (string, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return "", errors.New("the peer has no certificate")
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return "", errors.New("the peer's key isn't Ed25519")
	}
	return hex.EncodeToString(key), nil
}

func publicHex(key ed25519.PrivateKey) string {
	return hex.EncodeToString(key.Public().(ed25519.PublicKey))
}
