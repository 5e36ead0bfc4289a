package connectortest

import (
	"errors"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// Suite says how to build one driver against one store, and what that store
// cannot act out.
type Suite struct {
	Descriptor connector.Descriptor
	Transport  Transport

	// Store makes a fresh, empty store; the kit calls it many times per run.
	// With Transport HTTP the store is also the vendor's http.Handler.
	Store func(t testing.TB) Store

	// New builds the driver on Env.Config.
	New func(t testing.TB, env Env) connector.Connector

	// Identities are those a task for p carries; nil means p's proved address.
	// Systems that do not know addresses map each person of the cast to ids that
	// look as alike as the addresses do.
	Identities func(p dsrtest.Person) []dsr.Identity

	// Settings, Secrets and Mapping go into Env.Config. A secret of the
	// descriptor that is not given gets a synthetic value.
	Settings map[string]string
	Secrets  map[string]string
	Mapping  []byte

	// Keeps are rules of the system's own mapping, beside the descriptor's.
	Keeps []connector.Keep

	// Rectify is needed when the descriptor offers rectify by API.
	Rectify *Rectification

	// Suppress is needed when the descriptor offers suppress by API.
	Suppress *Suppression

	// FinishJobs lets the vendor end all work in progress; needed when an op is
	// async.
	FinishJobs func(t testing.TB, s Store)

	// ErrorBody is the vendor's error object, sent with status 200 by one law.
	// Empty means a generic one.
	ErrorBody string

	// InURL allows an identifier in the query of a URL, because the vendor offers
	// no other way to search: query key → reason.
	InURL map[string]string

	Lacks   map[Trait]string // what the store cannot act out → reason
	Waivers map[string]string
}

// Transport says how the driver reaches its vendor.
type Transport string

// The transports. An HTTP store is an http.Handler and gets all HTTP laws; a
// Direct one acts out faults itself.
const (
	HTTP   Transport = "http"
	Direct Transport = "direct"
)

// Env is what a driver is built on.
type Env struct {
	Config connector.Config
	Store  Store
}

// Now is the fixed clock of every run.
var Now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// Store is the vendor's side: a stateful fake, a real server, or an in-memory
// twin of the driver's own narrow interface.
type Store interface {
	// Seed adds everything the vendor may hold about p, with p's values in it: at
	// least one record in each category, and in one category so many that the
	// driver needs three pages or more.
	Seed(p dsrtest.Person) error

	// Annotate writes a value into a field of p's main record that p or the
	// company can fill freely. A store without such fields lacks Annotate.
	Annotate(p dsrtest.Person, field, value string) error

	// Records lists all that is held now, of everybody, hidden or not, in a
	// stable order.
	Records() ([]Record, error)

	// Inject arms a fault for all calls that follow, or ends it with NoFault. It
	// returns ErrCannot for a fault the store lacks.
	Inject(f Fault) error
}

// ErrCannot is a store's answer to what it cannot act out.
var ErrCannot = errors.New("the store cannot act this out")

// Record is one thing the vendor holds, comparable byte for byte.
type Record struct {
	Owner    string // Person.Email of whom it is about; "" once it is nobody's
	Category string // data category, as in outcomes
	ID       string
	Hidden   bool              // held, but shown by no call: trash, a version under a delete marker
	Fields   map[string]string // its content, flat
}

// Fault is a way a vendor can misbehave.
type Fault string

// The faults. An HTTP store needs IgnoreWrites alone: the kit acts out the rest
// between driver and store.
const (
	NoFault      Fault = ""
	IgnoreWrites Fault = "ignore_writes" // answers success and changes nothing
	SoftDelete   Fault = "soft_delete"   // answers success and only hides
	Refused      Fault = "refused"       // wrong credential or permission
	Throttled    Fault = "throttled"     // too many calls
	Down         Fault = "down"          // network gone, nothing done
	LoseAnswer   Fault = "lose_answer"   // a write has its effect, then the connection breaks
	Partial      Fault = "partial"       // success, with an error for one record inside
)

// Trait is something a store may lack.
type Trait string

// The traits. A Fault is a trait too: Trait(IgnoreWrites).
const (
	// Annotate: no field takes free content.
	Annotate Trait = "annotate"
	// Content: the driver hands files on as they are and cannot see inside.
	Content Trait = "content"
)

// Rectification is a correction to try.
type Rectification struct {
	Change  dsr.Change
	Touches []string // keys of Record.Fields that may change
}

// Suppression is a purpose to try, and how to see in the store that it holds.
type Suppression struct {
	Purpose dsr.Purpose
	Holds   func(s Store, p dsrtest.Person) (bool, error)
}

func (s Suite) identities(p dsrtest.Person) []dsr.Identity {
	if s.Identities != nil {
		return s.Identities(p)
	}
	return []dsr.Identity{p.Proved()}
}

// keeps reports whether a rule allows the category to stay.
func (s Suite) keeps(rule, category string) bool {
	for _, k := range append(s.Descriptor.Keeps[:len(s.Descriptor.Keeps):len(s.Descriptor.Keeps)], s.Keeps...) {
		if k.ID == rule && k.Category == category {
			return true
		}
	}
	return false
}
