// Package memory is the ledger in a process's memory: the same rules as the
// product's store, for the tests of stages and for dry runs. Records are kept
// as the JSON the product's store keeps, so that what does not survive a write
// there does not survive it here.
package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// Store is an empty ledger until written to. Every method is one critical
// section, which makes each of them a transaction.
type Store struct {
	mu           sync.Mutex
	requests     table[dsr.RequestID, ledger.Request]
	subjects     table[dsr.RequestID, ledger.SealedSubject]
	claims       map[string]dsr.RequestID
	visits       table[visitKey, dsr.Visit]
	events       map[chainKey][][]byte
	holds        table[string, ledger.Held]
	matters      map[string]bool
	tokens       table[string, ledger.Token]
	hits         map[string]counter
	suppressions map[string]map[dsr.Purpose]time.Time
}

type visitKey struct {
	request dsr.RequestID
	task    string
}

type chainKey struct {
	request dsr.RequestID
	chain   string
}

type counter struct {
	n    int
	ends time.Time
}

var _ ledger.Store = (*Store)(nil)

// New returns an empty ledger.
func New() *Store {
	return &Store{
		requests:     table[dsr.RequestID, ledger.Request]{},
		subjects:     table[dsr.RequestID, ledger.SealedSubject]{},
		claims:       map[string]dsr.RequestID{},
		visits:       table[visitKey, dsr.Visit]{},
		events:       map[chainKey][][]byte{},
		holds:        table[string, ledger.Held]{},
		matters:      map[string]bool{},
		tokens:       table[string, ledger.Token]{},
		hits:         map[string]counter{},
		suppressions: map[string]map[dsr.Purpose]time.Time{},
	}
}

// CreateRequest implements ledger.Store.
func (s *Store) CreateRequest(_ context.Context, r ledger.Request, subject ledger.SealedSubject, first dsr.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	link, err := ledger.FirstLink(r, first)
	if err != nil {
		return err
	}
	if subject.RequestID != r.ID {
		return fmt.Errorf("creating request %s: its sealed subject belongs to another request", r.ID)
	}
	if s.requests.has(r.ID) {
		return fmt.Errorf("creating request %s: %w", r.ID, ledger.ErrExists)
	}
	if err := s.requests.put(r.ID, r); err != nil {
		return err
	}
	if err := s.subjects.put(r.ID, subject); err != nil {
		return err
	}
	return s.addLink(link)
}

// Request implements ledger.Store.
func (s *Store) Request(_ context.Context, id dsr.RequestID) (ledger.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.requests.get(id)
	return r, about(err, "reading request %s", id)
}

// SaveRequest implements ledger.Store.
func (s *Store) SaveRequest(_ context.Context, r ledger.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.requests.get(r.ID)
	if err != nil {
		return about(err, "saving request %s", r.ID)
	}
	if stored.Version != r.Version {
		return fmt.Errorf("saving request %s: %w", r.ID, ledger.ErrConflict)
	}
	r.Version++
	return s.requests.put(r.ID, r)
}

// OpenRequests implements ledger.Store. f may call the store.
func (s *Store) OpenRequests(_ context.Context, f func(ledger.Request) error) error {
	return s.each(ledger.ShelfOpen, time.Time{}, f)
}

// ScheduledRequests implements ledger.Store. f may call the store.
func (s *Store) ScheduledRequests(_ context.Context, until time.Time, f func(ledger.Request) error) error {
	return s.each(ledger.ShelfScheduled, until, f)
}

// EndedRequests implements ledger.Store. f may call the store.
func (s *Store) EndedRequests(_ context.Context, until time.Time, f func(ledger.Request) error) error {
	return s.each(ledger.ShelfEnded, until, f)
}

// each walks a shelf; until is the zero time for all of it.
func (s *Store) each(shelf string, until time.Time, f func(ledger.Request) error) error {
	all, err := s.shelved(shelf, until)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) shelved(shelf string, until time.Time) ([]ledger.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ledger.Request
	for id := range s.requests {
		r, err := s.requests.get(id)
		if err != nil {
			return nil, err
		}
		if on, at := r.Shelf(); on == shelf && (until.IsZero() || !at.After(until)) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b ledger.Request) int {
		_, x := a.Shelf()
		_, y := b.Shelf()
		return cmp.Or(x.Compare(y), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// DeleteRecords implements ledger.Store.
func (s *Store) DeleteRecords(_ context.Context, id dsr.RequestID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.requests.get(id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = r.MayForget()
	}
	if err != nil {
		return about(err, "deleting the records of request %s", id)
	}
	for key := range s.events {
		if key.request == id {
			delete(s.events, key)
		}
	}
	for key := range s.visits {
		if key.request == id {
			delete(s.visits, key)
		}
	}
	delete(s.requests, id)
	return nil
}

// Subject implements ledger.Store.
func (s *Store) Subject(_ context.Context, id dsr.RequestID) (ledger.SealedSubject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subject, err := s.subjects.get(id)
	return subject, about(err, "reading the sealed subject of request %s", id)
}

// ReplaceSubject implements ledger.Store.
func (s *Store) ReplaceSubject(_ context.Context, subject ledger.SealedSubject) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.subjects.get(subject.RequestID); err != nil {
		return about(err, "replacing the sealed subject of request %s", subject.RequestID)
	}
	return s.subjects.put(subject.RequestID, subject)
}

// DeleteSubject implements ledger.Store.
func (s *Store) DeleteSubject(_ context.Context, id dsr.RequestID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subjects, id)
	return nil
}

// ClaimIdentity implements ledger.Store.
func (s *Store) ClaimIdentity(_ context.Context, hash string, id dsr.RequestID) (dsr.RequestID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if holder, claimed := s.claims[hash]; claimed {
		return holder, nil
	}
	s.claims[hash] = id
	return id, nil
}

// ReleaseIdentity implements ledger.Store.
func (s *Store) ReleaseIdentity(_ context.Context, hash string, id dsr.RequestID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims[hash] == id {
		delete(s.claims, hash)
	}
	return nil
}

// PlanVisits implements ledger.Store.
func (s *Store) PlanVisits(_ context.Context, visits []dsr.Visit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range visits {
		if key := keyOf(v); !s.visits.has(key) {
			if err := s.visits.put(key, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// Visits implements ledger.Store.
func (s *Store) Visits(_ context.Context, id dsr.RequestID) ([]dsr.Visit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var visits []dsr.Visit
	for key := range s.visits {
		if key.request != id {
			continue
		}
		v, err := s.visits.get(key)
		if err != nil {
			return nil, err
		}
		visits = append(visits, v)
	}
	slices.SortFunc(visits, func(a, b dsr.Visit) int { return strings.Compare(a.Task(), b.Task()) })
	return visits, nil
}

// Visit implements ledger.Store.
func (s *Store) Visit(_ context.Context, id dsr.RequestID, task string) (dsr.Visit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.visits.get(visitKey{id, task})
	return v, about(err, "reading visit %s of request %s", task, id)
}

// TakeVisit implements ledger.Store.
func (s *Store) TakeVisit(_ context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.take(visitKey{id, task}, run, now, until)
	return v, about(err, "taking visit %s of request %s for run %d", task, id, run)
}

func (s *Store) take(key visitKey, run int, now, until time.Time) (dsr.Visit, error) {
	v, err := s.visits.get(key)
	if err != nil {
		return dsr.Visit{}, err
	}
	if v.Settled() {
		return v, ledger.ErrSettled
	}
	r, err := s.requests.get(key.request)
	if err != nil {
		return dsr.Visit{}, err
	}
	if r.Run != run {
		return dsr.Visit{}, ledger.ErrStale
	}
	if v.LeaseUntil.After(now) {
		return dsr.Visit{}, ledger.ErrLeased
	}
	v.Fence++
	v.Run = run
	v.LeaseUntil = until
	if err := s.visits.put(key, v); err != nil {
		return dsr.Visit{}, err
	}
	return s.visits.get(key)
}

// BeginErasing implements ledger.Store.
func (s *Store) BeginErasing(_ context.Context, v dsr.Visit, holdKeys []string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return about(s.beginErasing(v, holdKeys, now), "beginning to erase in visit %s of request %s", v.Task(), v.RequestID)
}

func (s *Store) beginErasing(v dsr.Visit, holdKeys []string, now time.Time) error {
	stored, err := s.visits.get(keyOf(v))
	if errors.Is(err, ledger.ErrNotFound) || (err == nil && stored.Fence != v.Fence) {
		return ledger.ErrStale
	}
	if err != nil {
		return err
	}
	r, err := s.requests.get(v.RequestID)
	if err != nil {
		return err
	}
	if err := r.MayErase(v.Run); err != nil {
		return err
	}
	for _, key := range holdKeys {
		if s.holds.has(key) {
			return &ledger.HeldError{Key: key}
		}
	}
	v.Status = dsr.VisitErasing
	if err := s.visits.put(keyOf(v), v); err != nil {
		return err
	}
	if !r.ErasingAt.IsZero() {
		return nil
	}
	r.ErasingAt = now
	r.Version++
	return s.requests.put(r.ID, r)
}

// SaveVisit implements ledger.Store.
func (s *Store) SaveVisit(_ context.Context, v dsr.Visit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.visits.get(keyOf(v))
	if err == nil {
		var r ledger.Request
		r, err = s.requests.get(v.RequestID)
		if err == nil && (r.Run != v.Run || stored.Fence != v.Fence) {
			err = ledger.ErrStale
		}
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = ledger.ErrStale
	}
	if err != nil {
		return about(err, "saving visit %s of request %s", v.Task(), v.RequestID)
	}
	return s.visits.put(keyOf(v), v)
}

func keyOf(v dsr.Visit) visitKey { return visitKey{v.RequestID, v.Task()} }

// about puts what was being done, and to what, in front of an error; nil stays nil.
func about(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// table holds records of one type as JSON.
type table[K comparable, V any] map[K][]byte

func (t table[K, V]) has(k K) bool { _, there := t[k]; return there }

func (t table[K, V]) get(k K) (v V, err error) {
	doc, there := t[k]
	if !there {
		return v, ledger.ErrNotFound
	}
	if err := json.Unmarshal(doc, &v); err != nil {
		return v, fmt.Errorf("decoding a record: %w", err)
	}
	return v, nil
}

func (t table[K, V]) put(k K, v V) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a record: %w", err)
	}
	t[k] = doc
	return nil
}
