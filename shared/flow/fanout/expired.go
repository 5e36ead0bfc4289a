package fanout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/policy"
)

// ExpiredInput is what the retention machine hands to a system's function.
type ExpiredInput struct {
	V      int    `json:"v"`
	System string `json:"system"`
	Day    string `json:"day"` // 2006-01-02: what has expired is reckoned from its beginning
}

// Lists reports whether a payload is that of the retention machine and not of a
// visit.
func Lists(payload json.RawMessage) bool {
	var named struct {
		Day *string `json:"day"`
	}
	return json.Unmarshal(payload, &named) == nil && named.Day != nil
}

// ExpiredOutput counts. More says that the time was up: the machine asks again,
// and who has a request already is passed over.
type ExpiredOutput struct {
	V       int    `json:"v"`
	System  string `json:"system"`
	Day     string `json:"day"`
	More    bool   `json:"more"`
	People  int    `json:"people"`  // listed
	Planned int    `json:"planned"` // of them, those who got a request now
}

// ExpiredLedger is what listing writes.
type ExpiredLedger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	CreateRequest(ctx context.Context, r ledger.Request, s ledger.SealedSubject, first dsr.Event) error
}

// Expired lists whose records have expired in one system and gives each person
// a request of Writ's own, which the sweep starts.
type Expired struct {
	Company    *policy.Company
	System     policy.System
	Descriptor connector.Descriptor
	Open       func(ctx context.Context) (connector.Connector, error)
	Ledger     ExpiredLedger
	Keys       dossier.Keys
	Hasher     Hasher
	Now        func() time.Time
	Reserve    time.Duration // kept before the time limit
}

// peoplePage is how many people one look at the system lists.
const peoplePage = 200

// errPause ends a listing whose time is up.
var errPause = errors.New("the time is up")

// Handle lists page by page. The place where a page ends is a person's
// identifier, so it stays in the process; a listing that was cut begins anew and
// passes over whom it planned.
func (e *Expired) Handle(ctx context.Context, in ExpiredInput) (ExpiredOutput, error) {
	out := ExpiredOutput{V: 1, System: in.System, Day: in.Day}
	if in.System != e.System.ID {
		return out, fmt.Errorf("listing what has expired in system %s: this function serves %s", in.System, e.System.ID)
	}
	day, err := time.ParseInLocation(time.DateOnly, in.Day, e.Company.Zone)
	if err != nil {
		return out, errors.New("listing what has expired: the day is no date: 2026-12-31 was expected")
	}
	expiries := e.Company.Expiries(e.System, day)
	if !e.Descriptor.Lists || len(expiries) == 0 {
		return out, nil
	}
	c, err := e.Open(ctx)
	if err != nil {
		return out, fmt.Errorf("opening system %s: %w", e.System.ID, err)
	}
	for _, x := range expiries {
		err := e.category(ctx, c, x, day, &out)
		switch {
		case errors.Is(err, errPause):
			out.More = true
			return out, nil
		case connector.KindOf(err) == connector.Unsupported && err != nil:
			continue // the system's mapping has no date for it: nothing can be listed there
		case err != nil:
			return out, fmt.Errorf("listing what has expired of %s in system %s: %w", x.Category, e.System.ID, err)
		}
	}
	return out, nil
}

func (e *Expired) category(ctx context.Context, c connector.Connector, x policy.Expiry, day time.Time, out *ExpiredOutput) error {
	ask := connector.Expired{Category: x.Category, Before: x.Before, Limit: peoplePage}
	for {
		page, err := c.Locate(ctx, connector.Task{Expired: &ask})
		if err != nil {
			return err
		}
		for _, p := range page.People {
			if deadline, ok := ctx.Deadline(); ok && deadline.Sub(e.Now()) < e.Reserve {
				return errPause
			}
			out.People++
			planned, err := e.plan(ctx, p, x, day)
			if err != nil {
				return err
			}
			if planned {
				out.Planned++
			}
		}
		if page.Next == "" {
			return nil
		}
		ask.After = page.Next
	}
}

// plan writes the request of one person, once: its id follows, through a keyed
// hash, from the person, the category and the date that expired. It is due since
// the day began, so the next sweep starts it.
func (e *Expired) plan(ctx context.Context, p connector.Overdue, x policy.Expiry, day time.Time) (bool, error) {
	id, err := e.id(ctx, p, x)
	if err != nil {
		return false, err
	}
	_, err = e.Ledger.Request(ctx, id)
	if !errors.Is(err, ledger.ErrNotFound) {
		return false, err // it is there, or could not be looked for
	}
	now := e.Now()
	sealed, err := dossier.Seal(ctx, e.Keys, id, dsr.Subject{Identities: p.Identities})
	if err != nil {
		return false, err
	}
	r := ledger.Request{
		ID: id, Company: e.Company.ID, Channel: ledger.ChannelRetention, Status: dsr.Scheduled, Rights: []dsr.Right{dsr.Erasure},
		Scope: []ledger.Portion{{System: e.System.ID, Categories: []string{x.Category}, Ground: x.Ground}},
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: now}}, DueAt: day.UTC(), Run: 1,
	}
	err = e.Ledger.CreateRequest(ctx, r, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now,
		Detail: map[string]any{"channel": r.Channel, "system": e.System.ID, "category": x.Category, "before": x.Before.Format(time.DateOnly)}})
	if errors.Is(err, ledger.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

func (e *Expired) id(ctx context.Context, p connector.Overdue, x policy.Expiry) (dsr.RequestID, error) {
	who, err := json.Marshal(p.Identities)
	if err != nil {
		return "", errors.New("naming a request: the identities have no JSON form")
	}
	words := strings.Join([]string{e.Company.ID, e.System.ID, x.Category, p.Since.UTC().Format(time.RFC3339Nano), string(who)}, "\x00")
	hash, err := e.Hasher.Hash(ctx, "retention", words)
	if err != nil {
		return "", fmt.Errorf("hashing the identity: %w", err)
	}
	return ledger.DerivedID(hash), nil
}
