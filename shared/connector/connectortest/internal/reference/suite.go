package reference

import (
	"encoding/base64"
	"maps"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// Bug is a mistake a driver's author can make.
type Bug string

// The bugs. Each is one that real drivers have had or could have; the kit's
// test says which law each of them breaks.
const (
	BugHidesCapability     Bug = "the descriptor denies an op that the driver does"
	BugTrustsClaims        Bug = "a self-asserted identity locates"
	BugErasesWithoutTarget Bug = "an erasure of nobody erases something"
	BugCountsStrangers     Bug = "the count takes strangers in"
	BugMatchesByPrefix     Bug = "an address matches by prefix"
	BugCaseIsAbsent        Bug = "an address in other case is not held"
	BugYieldsFreeField     Bug = "a free field is yielded as the vendor's word"
	BugDropsLastPage       Bug = "the last page is dropped"
	BugResumeSkips         Bug = "a resumed export skips a stage"
	BugLookForgets         Bug = "a resumed look forgets what it saw"
	BugLeavesProfile       Bug = "the profile is never deleted"
	BugLeavesTrash         Bug = "the trash is forgotten"
	BugForgetsKey          Bug = "no idempotency key is sent"
	BugErasesMore          Bug = "an erasure of one category takes another along"
	BugExportsMore         Bug = "an export of one category holds another"
	BugRectifiesMore       Bug = "a correction blanks another field"
	BugLooksPastChanges    Bug = "the read-back of a correction looks at no field"
	BugPrintsUnkeyed       Bug = "the prints of a correction are plain hashes"
	BugDropsSuppression    Bug = "the erasure takes the suppression with it"
	BugNoReceiptIsGone     Bug = "a read-back without a receipt looks at nothing"
	BugForbiddenIsInvalid  Bug = "403 is Invalid"
	BugIgnoresRetryDate    Bug = "Retry-After as a date is ignored"
	BugThrottledIsDown     Bug = "throttled is Unavailable"
	BugIgnoresPartial      Bug = "an error inside a success is ignored"
	BugSwallows400         Bug = "a 400 to a delete is swallowed"
	BugNeverSent           Bug = "a lost answer is not said"
	BugNonsenseIsEmpty     Bug = "an answer that is no JSON is an empty one"
	BugWalksForever        Bug = "a repeated page is walked for ever"
	BugForgetsJob          Bug = "a job is started again instead of looked at"
	BugIgnoresCancel       Bug = "cancelling is ignored"
	BugErrorHasBody        Bug = "an error repeats the vendor's body"
	BugErrorNamesURL       Bug = "an error repeats the URL"
	BugReferenceIsAddress  Bug = "a receipt's reference is the address in base64"
	BugAddressInPath       Bug = "the address is in a query nobody allowed"
	BugLogs                Bug = "the driver logs"
	BugFollowsRedirect     Bug = "a redirect is followed"
	BugOtherHost           Bug = "a host is called that is not declared"
	BugHidesFromGuard      Bug = "a record is exported in base64, where no guard sees a password"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte("ref:" + s)) }

// Descriptor declares the reference vendor.
func Descriptor() connector.Descriptor {
	return connector.Descriptor{
		Code: "reference", Name: "Reference", Tier: connector.FakeTested, Role: "processor",
		Hosts:   []string{"api.reference.example"},
		Accepts: []dsr.Kind{dsr.Email}, Yields: []dsr.Kind{"profile_id"}, Resend: connector.ResendSafe,
		Categories: map[string]connector.Category{
			"profile": {Holds: "who somebody is"}, "note": {Holds: "what they wrote"}, "invoice": {Holds: "what they paid"},
		},
		Ops: map[dsr.Op]string{
			dsr.Locate: "api", dsr.Export: "api", dsr.Erase: "api", dsr.Rectify: "api", dsr.Suppress: "api", dsr.ReadBack: "api",
		},
		Keeps: []connector.Keep{{ID: "accounts", Category: "invoice", Reason: "the vendor keeps invoices"}},
	}
}

// Suite is the reference vendor with the given bugs.
func Suite(transport connectortest.Transport, bugs ...Bug) connectortest.Suite {
	s := connectortest.Suite{
		Descriptor: Descriptor(),
		Transport:  transport,
		Store:      func(testing.TB) connectortest.Store { return NewFake() },
		New: func(_ testing.TB, env connectortest.Env) connector.Connector {
			d := &Driver{bugs: bugs}
			if d.send = d.overHTTP(env.Config); transport == connectortest.Direct {
				d.send = d.straight(env.Store.(*Fake))
			}
			return d
		},
		Rectify: &connectortest.Rectification{
			Change: dsr.Change{Field: "city", New: "Corrected Town"}, Touches: []string{"city"},
		},
		Suppress: &connectortest.Suppression{
			Purpose: dsr.Marketing,
			Holds: func(s connectortest.Store, p dsrtest.Person) (bool, error) {
				return s.(*Fake).Suppressed(p), nil
			},
		},
		InURL: map[string]string{"email": "the vendor searches by a query only"},
	}
	if transport == connectortest.Direct {
		s.Descriptor.Hosts = nil
	}
	for _, b := range bugs {
		if b == BugHidesCapability {
			s.Descriptor.Ops = maps.Clone(s.Descriptor.Ops)
			s.Descriptor.Ops[dsr.Suppress] = "none:not offered"
			s.Suppress = nil
		}
	}
	return s
}

// AsyncSuite is the reference vendor whose erasures are jobs.
func AsyncSuite(bugs ...Bug) connectortest.Suite {
	s := Suite(connectortest.HTTP, bugs...)
	s.Descriptor.Ops = maps.Clone(s.Descriptor.Ops)
	s.Descriptor.Ops[dsr.Erase] = "async"
	build := s.New
	s.New = func(t testing.TB, env connectortest.Env) connector.Connector {
		d := build(t, env).(*Driver)
		d.async = true
		return d
	}
	s.FinishJobs = func(_ testing.TB, s connectortest.Store) { s.(*Fake).FinishJobs() }
	return s
}
