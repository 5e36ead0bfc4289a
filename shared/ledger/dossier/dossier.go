// Package dossier opens a request together with its person: the record in the
// ledger, the sealed subject and the key that both were sealed with.
package dossier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// Box seals and opens with one request's key. About binds a ciphertext to its
// place, so that it cannot be moved to another.
type Box = interface {
	Seal(plain []byte, about string) []byte
	Open(sealed []byte, about string) ([]byte, error)
}

// Keys makes and opens the data keys of requests.
type Keys interface {
	NewBox(ctx context.Context, id dsr.RequestID) (Box, []byte, error)
	OpenBox(ctx context.Context, id dsr.RequestID, wrapped []byte) (Box, error)
}

// Ledger is what is read here.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	Subject(ctx context.Context, id dsr.RequestID) (ledger.SealedSubject, error)
}

// Dossier is one request with its person opened.
type Dossier struct {
	Request ledger.Request
	Subject dsr.Subject
	Box     Box
}

// aboutSubject binds the ciphertext of the person to its request.
func aboutSubject(id dsr.RequestID) string { return string(id) + "/subject" }

// Open reads and opens. Once the request is verified, the address the person
// gave is the proved one. ledger.ErrNotFound says that the request does not
// exist or that its key was destroyed.
func Open(ctx context.Context, l Ledger, keys Keys, id dsr.RequestID) (Dossier, error) {
	r, err := l.Request(ctx, id)
	if err != nil {
		return Dossier{}, fmt.Errorf("reading request %s: %w", id, err)
	}
	sealed, err := l.Subject(ctx, id)
	if err != nil {
		return Dossier{Request: r}, fmt.Errorf("reading the person of request %s: %w", id, err)
	}
	box, err := keys.OpenBox(ctx, id, sealed.WrappedKey)
	if err != nil {
		return Dossier{Request: r}, fmt.Errorf("opening the key of request %s: %w", id, err)
	}
	plain, err := box.Open(sealed.Ciphertext, aboutSubject(id))
	if err != nil {
		return Dossier{Request: r}, fmt.Errorf("opening the person of request %s: %w", id, err)
	}
	var s dsr.Subject
	if err := json.Unmarshal(plain, &s); err != nil {
		return Dossier{Request: r}, errors.New("reading the person of request " + string(id) + ": not what was written")
	}
	if !r.VerifiedAt.IsZero() {
		for i := range s.Identities {
			if s.Identities[i].Kind == dsr.Email {
				s.Identities[i].Origin = dsr.Proved
				break
			}
		}
	}
	return Dossier{Request: r, Subject: s, Box: box}, nil
}

// Seal makes the sealed subject of a new request.
func Seal(ctx context.Context, keys Keys, id dsr.RequestID, s dsr.Subject) (ledger.SealedSubject, error) {
	box, wrapped, err := keys.NewBox(ctx, id)
	if err != nil {
		return ledger.SealedSubject{}, fmt.Errorf("making the key of request %s: %w", id, err)
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return ledger.SealedSubject{}, fmt.Errorf("sealing the person of request %s: %w", id, err)
	}
	return ledger.SealedSubject{RequestID: id, WrappedKey: wrapped, Ciphertext: box.Seal(plain, aboutSubject(id))}, nil
}

// Reseal makes the sealed subject of a request again, with the key it has.
func (d Dossier) Reseal(wrapped []byte, s dsr.Subject) (ledger.SealedSubject, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return ledger.SealedSubject{}, fmt.Errorf("sealing the person of request %s: %w", d.Request.ID, err)
	}
	return ledger.SealedSubject{RequestID: d.Request.ID, WrappedKey: wrapped, Ciphertext: d.Box.Seal(plain, aboutSubject(d.Request.ID))}, nil
}

// SealWait seals a task token of the machine for a place named by what.
func SealWait(box Box, id dsr.RequestID, what, token string) []byte {
	return box.Seal([]byte(token), string(id)+"/wait/"+what)
}

// OpenWait opens what SealWait sealed.
func OpenWait(box Box, id dsr.RequestID, what string, sealed []byte) (string, error) {
	plain, err := box.Open(sealed, string(id)+"/wait/"+what)
	if err != nil {
		return "", fmt.Errorf("opening the wait %s of request %s: %w", what, id, err)
	}
	return string(plain), nil
}
