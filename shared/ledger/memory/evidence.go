package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	return s.changeHolds("placing a hold", h.Key, func(all ledger.Held) (ledger.Held, error) { return all.Place(h) })
}

// ProposeLift implements ledger.Store.
func (s *Store) ProposeLift(_ context.Context, key, matter string, l ledger.Lift) error {
	return s.changeHolds("asking to lift a hold", key, func(all ledger.Held) (ledger.Held, error) { return all.Propose(matter, l) })
}

// LiftHold implements ledger.Store.
func (s *Store) LiftHold(_ context.Context, key, matter, by string) error {
	return s.changeHolds("lifting a hold", key, func(all ledger.Held) (ledger.Held, error) { return all.Confirm(matter, by) })
}

func (s *Store) changeHolds(doing, key string, f func(ledger.Held) (ledger.Held, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.holds.get(key)
	if errors.Is(err, ledger.ErrNotFound) {
		err = nil
	}
	if err == nil {
		all, err = f(all)
	}
	if err != nil {
		return about(err, doing)
	}
	for _, h := range all {
		s.matters[h.Matter] = true
	}
	if len(all) == 0 {
		delete(s.holds, key)
		return nil
	}
	return s.holds.put(key, all)
}

// Holds implements ledger.Store.
func (s *Store) Holds(_ context.Context, key string) ([]ledger.Hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.holds.get(key)
	if errors.Is(err, ledger.ErrNotFound) {
		err = nil
	}
	return all, about(err, "reading holds")
}

// MatterHolds implements ledger.Store.
func (s *Store) MatterHolds(_ context.Context, matter string) ([]ledger.Hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []ledger.Hold
	for _, key := range slices.Sorted(maps.Keys(s.holds)) {
		all, err := s.holds.get(key)
		if err != nil {
			return nil, about(err, "reading the holds of a matter")
		}
		for _, h := range all {
			if h.Matter == matter {
				found = append(found, h)
			}
		}
	}
	return found, nil
}

// Matters implements ledger.Store.
func (s *Store) Matters(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.matters)), nil
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

// Allow implements ledger.Store.
func (s *Store) Allow(_ context.Context, hash string, p dsr.Purpose) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.suppressions[hash], p)
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
