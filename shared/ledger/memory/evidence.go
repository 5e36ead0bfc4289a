package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// Append implements ledger.Store.
func (s *Store) Append(_ context.Context, e dsr.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var head dsr.Event
	if links := s.events[chainKey{e.RequestID, e.Chain}]; len(links) > 0 {
		if err := json.Unmarshal(links[len(links)-1], &head); err != nil {
			return fmt.Errorf("appending to chain %s of request %s: %w", e.Chain, e.RequestID, err)
		}
	}
	link, err := ledger.Link(head, e)
	if err != nil {
		return err
	}
	return s.addLink(link)
}

func (s *Store) addLink(link dsr.Event) error {
	doc, err := json.Marshal(link)
	if err != nil {
		return fmt.Errorf("appending to chain %s of request %s: %w", link.Chain, link.RequestID, err)
	}
	key := chainKey{link.RequestID, link.Chain}
	s.events[key] = append(s.events[key], doc)
	return nil
}

// Events implements ledger.Store.
func (s *Store) Events(_ context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []dsr.Event
	for _, doc := range s.events[chainKey{id, chain}] {
		var e dsr.Event
		if err := json.Unmarshal(doc, &e); err != nil {
			return nil, fmt.Errorf("reading chain %s of request %s: %w", chain, id, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// PlaceHold implements ledger.Store.
func (s *Store) PlaceHold(_ context.Context, h ledger.Hold) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds.has(h.Key) {
		return fmt.Errorf("placing a hold: %w", ledger.ErrExists)
	}
	return s.holds.put(h.Key, h)
}

// LiftHold implements ledger.Store.
func (s *Store) LiftHold(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holds.has(key) {
		return fmt.Errorf("lifting a hold: %w", ledger.ErrNotFound)
	}
	delete(s.holds, key)
	return nil
}

// Hold implements ledger.Store.
func (s *Store) Hold(_ context.Context, key string) (ledger.Hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.holds.get(key)
	return h, about(err, "reading a hold")
}

// Suppress implements ledger.Store.
func (s *Store) Suppress(_ context.Context, hash string, p dsr.Purpose, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suppressions[hash] == nil {
		s.suppressions[hash] = map[dsr.Purpose]time.Time{}
	}
	if _, there := s.suppressions[hash][p]; !there {
		s.suppressions[hash][p] = at.UTC()
	}
	return nil
}

// Suppressed implements ledger.Store.
func (s *Store) Suppressed(_ context.Context, hash string) (map[dsr.Purpose]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	purposes := map[dsr.Purpose]time.Time{}
	maps.Copy(purposes, s.suppressions[hash])
	return purposes, nil
}
