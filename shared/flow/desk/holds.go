package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/web"
)

// key is the hold's key; the second result says what is wrong with the act.
func (s *Stage) key(ctx context.Context, a act) (key, wrong string, err error) {
	switch named(a) {
	case 0:
		return "", "name one of request_id, category and address", nil
	case 1:
	default:
		return "", "name only one of request_id, category and address", nil
	}
	switch {
	case a.RequestID != "":
		if _, err := dsr.ParseRequestID(string(a.RequestID)); err != nil {
			return "", "request_id is not a request's id", nil
		}
		return ledger.HoldOnRequest(a.RequestID), "", nil
	case a.Category != "":
		if _, ok := s.Company.Category(a.Category); !ok {
			return "", "the company's pack has no such category", nil
		}
		return ledger.HoldOnCategory(a.Category), "", nil
	}
	address, err := dsr.ParseAddress(a.Address)
	if err != nil {
		return "", "address is not a mail address", nil
	}
	hash, err := s.Hasher.Hash(ctx, "identity", address.String())
	if err != nil {
		return "", "", fmt.Errorf("hashing the address: %w", err)
	}
	return ledger.HoldOnSubject(hash), "", nil
}

// named counts the ways in which an act says what a hold is on.
func named(a act) int {
	n := 0
	for _, given := range []bool{a.RequestID != "", a.Category != "", a.Address != ""} {
		if given {
			n++
		}
	}
	return n
}

func (s *Stage) place(ctx context.Context, actor string, a act) (web.Response, error) {
	key, wrong, err := s.key(ctx, a)
	if err != nil {
		return web.Response{}, err
	}
	matter, bad := ledger.ParseMatter(a.Matter)
	switch {
	case wrong != "":
		return answer(http.StatusBadRequest, problem(wrong))
	case bad != nil:
		return answer(http.StatusBadRequest, problem(bad.Error()))
	case strings.TrimSpace(a.Reason) == "":
		return answer(http.StatusBadRequest, problem("a hold needs a reason"))
	}
	if a.RequestID != "" {
		switch _, err := s.Ledger.Request(ctx, a.RequestID); {
		case errors.Is(err, ledger.ErrNotFound):
			return answer(http.StatusNotFound, problem("there is no such request"))
		case err != nil:
			return web.Response{}, fmt.Errorf("reading the request: %w", err)
		}
	}
	h := ledger.Hold{Key: key, Matter: matter, Reason: a.Reason, By: actor, At: s.Now()}
	switch err := s.Ledger.PlaceHold(ctx, h); {
	case errors.Is(err, ledger.ErrExists):
		return answer(http.StatusConflict, problem("this hold is placed already"))
	case err != nil:
		return web.Response{}, fmt.Errorf("placing the hold: %w", err)
	}
	if err := s.record(ctx, h, actor, dsr.EventHoldPlaced); err != nil {
		return web.Response{}, err
	}
	return answer(http.StatusCreated, h)
}

// lift is both halves of the end of a hold: the first call asks for it, and the
// same call by another person confirms it. Without a key it is about everything
// that the matter holds.
func (s *Stage) lift(ctx context.Context, actor string, a act) (web.Response, error) {
	matter, bad := ledger.ParseMatter(a.Matter)
	switch {
	case bad != nil:
		return answer(http.StatusBadRequest, problem(bad.Error()))
	case strings.TrimSpace(a.Reason) == "":
		return answer(http.StatusBadRequest, problem("lifting a hold needs a reason"))
	}
	var holds []ledger.Hold
	if named(a) == 0 && a.Matter != "" {
		var err error
		if holds, err = s.Ledger.MatterHolds(ctx, matter); err != nil {
			return web.Response{}, fmt.Errorf("reading the matter's holds: %w", err)
		}
	} else {
		key, wrong, err := s.key(ctx, a)
		if err != nil {
			return web.Response{}, err
		}
		if wrong != "" {
			return answer(http.StatusBadRequest, problem(wrong))
		}
		all, err := s.Ledger.Holds(ctx, key)
		if err != nil {
			return web.Response{}, fmt.Errorf("reading the hold: %w", err)
		}
		for _, h := range all {
			if h.Matter == matter {
				holds = append(holds, h)
			}
		}
	}
	if len(holds) == 0 {
		return answer(http.StatusNotFound, problem("there is no such hold"))
	}
	var done Lifted
	own := 0
	for _, h := range holds {
		var err error
		switch {
		case h.Lift == nil:
			err = s.propose(ctx, actor, a.Reason, h)
			done.Proposed = append(done.Proposed, h.Key)
		case h.Lift.By == actor:
			own++
		default:
			err = s.confirm(ctx, actor, h)
			done.Lifted = append(done.Lifted, h.Key)
		}
		if err != nil {
			return web.Response{}, err
		}
	}
	switch {
	case own == len(holds):
		return answer(http.StatusForbidden, problem("you asked for this yourself: another person must confirm it"))
	case len(done.Lifted) == 0:
		return answer(http.StatusAccepted, done)
	}
	return answer(http.StatusOK, done)
}

// Lifted says which holds were lifted, and which wait for a second person.
type Lifted struct {
	Lifted   []string `json:"lifted,omitempty"`
	Proposed []string `json:"proposed,omitempty"`
}

func (s *Stage) propose(ctx context.Context, actor, reason string, h ledger.Hold) error {
	if err := s.Ledger.ProposeLift(ctx, h.Key, h.Matter, ledger.Lift{Reason: reason, By: actor, At: s.Now()}); err != nil {
		return fmt.Errorf("asking to lift the hold: %w", err)
	}
	return s.record(ctx, h, actor, dsr.EventLiftProposed)
}

// confirm writes the event first: rather one that tells of a lifting that did
// not come through than a lifting nobody can prove.
func (s *Stage) confirm(ctx context.Context, actor string, h ledger.Hold) error {
	if err := s.record(ctx, h, actor, dsr.EventHoldLifted); err != nil {
		return err
	}
	if err := s.Ledger.LiftHold(ctx, h.Key, h.Matter, actor); err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("lifting the hold: %w", err)
	}
	return nil
}

// record writes an act to the matter's own chain, and one on a request to the
// request's chain too. What a hold on a person is on is not written: the keyed
// hash would outlive its key.
func (s *Stage) record(ctx context.Context, h ledger.Hold, actor string, kind dsr.EventKind) error {
	on, name, _ := strings.Cut(strings.TrimPrefix(h.Key, "HOLD#"), "#")
	detail := map[string]any{"by": actor, "on": on, "matter": h.Matter}
	if on != "subject" {
		detail["name"] = name
	}
	now := s.Now()
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: ledger.HoldsRequest, Chain: h.Matter, Kind: kind, At: now, Detail: detail}); err != nil {
		return err
	}
	if on != "request" {
		return nil
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: dsr.RequestID(name), Chain: dsr.RequestChain, Kind: kind, At: now, Detail: map[string]any{"by": actor, "matter": h.Matter}})
}

func (s *Stage) showHold(ctx context.Context, a act) (web.Response, error) {
	key, wrong, err := s.key(ctx, a)
	if err != nil {
		return web.Response{}, err
	}
	if wrong != "" {
		return answer(http.StatusBadRequest, problem(wrong))
	}
	all, err := s.Ledger.Holds(ctx, key)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the hold: %w", err)
	}
	if len(all) == 0 {
		return answer(http.StatusNotFound, problem("there is no such hold"))
	}
	return answer(http.StatusOK, all)
}

// Matter is one matter of the list, with what it holds.
type Matter struct {
	Matter string        `json:"matter"`
	Since  time.Time     `json:"since"`
	Holds  []ledger.Hold `json:"holds"`
}

// listHolds lists every matter that holds something, or the one that is named.
func (s *Stage) listHolds(ctx context.Context, a act) (web.Response, error) {
	matters := []string{a.Matter}
	if a.Matter == "" {
		var err error
		if matters, err = s.Ledger.Matters(ctx); err != nil {
			return web.Response{}, fmt.Errorf("reading the matters: %w", err)
		}
	}
	list := []Matter{}
	for _, name := range matters {
		matter, bad := ledger.ParseMatter(name)
		if bad != nil {
			return answer(http.StatusBadRequest, problem(bad.Error()))
		}
		holds, err := s.Ledger.MatterHolds(ctx, matter)
		if err != nil {
			return web.Response{}, fmt.Errorf("reading the matter's holds: %w", err)
		}
		if len(holds) == 0 {
			continue
		}
		m := Matter{Matter: matter, Since: holds[0].At, Holds: holds}
		for _, h := range holds {
			if h.At.Before(m.Since) {
				m.Since = h.At
			}
		}
		list = append(list, m)
	}
	return answer(http.StatusOK, list)
}
