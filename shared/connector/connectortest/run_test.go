package connectortest_test

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/connector/connectortest/internal/reference"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

func TestReferencePasses(t *testing.T) {
	t.Run("http", func(t *testing.T) { connectortest.Run(t, reference.Suite(connectortest.HTTP)) })
	t.Run("direct", func(t *testing.T) { connectortest.Run(t, reference.Suite(connectortest.Direct)) })
	t.Run("async", func(t *testing.T) { connectortest.Run(t, reference.AsyncSuite()) })
}

// planted says which law, and no other, each bug of the reference breaks.
var planted = []struct {
	bug   reference.Bug
	law   string
	suite func(...reference.Bug) connectortest.Suite
}{
	{reference.BugHidesCapability, "capability_truth", overHTTP},
	{reference.BugTrustsClaims, "origin", overHTTP},
	{reference.BugErasesWithoutTarget, "unknown_subject", overHTTP},
	{reference.BugCountsStrangers, "others_untouched", overHTTP},
	{reference.BugMatchesByPrefix, "look_alikes", overHTTP},
	{reference.BugCaseIsAbsent, "case_only_is_a_candidate", overHTTP},
	{reference.BugYieldsFreeField, "stranger_address", overHTTP},
	{reference.BugDropsLastPage, "export_complete", overHTTP},
	{reference.BugResumeSkips, "cut_and_resumed", overHTTP},
	{reference.BugLookForgets, "cut_and_resumed", overHTTP},
	{reference.BugLeavesProfile, "erase_then_locate", overHTTP},
	{reference.BugLeavesTrash, "soft_delete_is_not_erasure", overHTTP},
	{reference.BugForgetsKey, "same_key_once", overHTTP},
	{reference.BugErasesMore, "only_named_categories", overHTTP},
	{reference.BugExportsMore, "only_named_categories", overHTTP},
	{reference.BugRectifiesMore, "rectify_named_fields", overHTTP},
	{reference.BugLooksPastChanges, "correction_read_back", overHTTP},
	{reference.BugPrintsUnkeyed, "correction_read_back", overHTTP},
	{reference.BugDropsSuppression, "suppression_survives", overHTTP},
	{reference.BugNoReceiptIsGone, "read_back_honest", overHTTP},
	{reference.BugForbiddenIsInvalid, "fault_to_kind", overHTTP},
	{reference.BugIgnoresRetryDate, "fault_to_kind", overHTTP},
	{reference.BugThrottledIsDown, "fault_to_kind", direct},
	{reference.BugIgnoresPartial, "fault_to_kind", direct},
	{reference.BugSwallows400, "every_call_counts", overHTTP},
	{reference.BugNeverSent, "unknown_effect_is_said", overHTTP},
	{reference.BugNeverSent, "unknown_effect_is_said", direct},
	{reference.BugNonsenseIsEmpty, "nonsense_is_no_answer", overHTTP},
	{reference.BugWalksForever, "repeated_page", overHTTP},
	{reference.BugForgetsJob, "pending_by_job", reference.AsyncSuite},
	{reference.BugIgnoresCancel, "cancellation", overHTTP},
	{reference.BugIgnoresCancel, "cancellation", direct},
	{reference.BugErrorHasBody, "canaries", overHTTP},
	{reference.BugErrorNamesURL, "canaries", overHTTP},
	{reference.BugReferenceIsAddress, "canaries", overHTTP},
	{reference.BugAddressInPath, "canaries", overHTTP},
	{reference.BugLogs, "canaries", overHTTP},
	{reference.BugFollowsRedirect, "declared_hosts", overHTTP},
	{reference.BugOtherHost, "declared_hosts", overHTTP},
	{reference.BugHidesFromGuard, "forbidden_kinds", overHTTP},
}

func overHTTP(bugs ...reference.Bug) connectortest.Suite {
	return reference.Suite(connectortest.HTTP, bugs...)
}

func direct(bugs ...reference.Bug) connectortest.Suite {
	return reference.Suite(connectortest.Direct, bugs...)
}

func TestEveryLawCatchesItsBug(t *testing.T) {
	caught := map[string]bool{}
	for _, p := range planted {
		caught[p.law] = true
		t.Run(string(p.bug), func(t *testing.T) {
			failures := connectortest.Check(t, p.suite(p.bug))
			if broken := slices.Sorted(maps.Keys(failures)); !slices.Equal(broken, []string{p.law}) {
				t.Errorf("broken laws: %v, want %s alone", broken, p.law)
				for law, f := range failures {
					t.Logf("%s: %v", law, f)
				}
			}
		})
	}
	for _, law := range connectortest.Laws() {
		if !caught[law] {
			t.Errorf("no planted bug shows that %s can fail", law)
		}
	}
}

func TestTheGuideNamesEveryLaw(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/add-a-connector.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, law := range connectortest.Laws() {
		if !strings.Contains(string(guide), "`"+law+"`") {
			t.Errorf("docs/add-a-connector.md does not say what %s proves", law)
		}
	}
}

func TestFindCanary(t *testing.T) {
	for _, p := range append(dsrtest.LookAlikes(), dsrtest.Ada) {
		for name, leak := range map[string]string{
			"as it is":             "to " + p.Email + ".",
			"lower case":           strings.ToLower(p.Name),
			"in a query":           url.QueryEscape(p.Email),
			"in a path":            url.PathEscape(p.Name),
			"base64":               base64.StdEncoding.EncodeToString([]byte(p.Email)),
			"base64, one byte on":  base64.URLEncoding.EncodeToString([]byte("x" + p.Phone)),
			"base64, two bytes on": base64.RawURLEncoding.EncodeToString([]byte("xy" + p.City + "z")),
			"hex":                  hex.EncodeToString([]byte(p.Phone)),
			"HEX":                  strings.ToUpper(hex.EncodeToString([]byte(p.City))),
		} {
			if connectortest.FindCanary([]byte("{"+leak+"}")) == "" {
				t.Errorf("%s: %q is not found", name, leak)
			}
		}
	}
	if hit := connectortest.FindCanary([]byte(`{"count":3,"city":"Springfield","mail":"someone@learner.example"}`)); hit != "" {
		t.Errorf("%q is found where it is not", hit)
	}
}

func TestWaivers(t *testing.T) {
	buggy := overHTTP(reference.BugLogs)
	buggy.Waivers = map[string]string{"canaries": "the driver still logs"}
	if f := connectortest.Check(t, buggy); len(f) != 0 {
		t.Errorf("a waived law fails the run: %v", f)
	}
	for name, c := range map[string]struct {
		suite connectortest.Suite
		where string
	}{
		"a waiver of a law that passes":        {withWaiver("canaries", "once it logged"), "canaries"},
		"a waiver of a law that does not bind": {withWaiver("pending_by_job", "no jobs"), "pending_by_job"},
		"a waiver of no law":                   {withWaiver("canary", "misspelt"), "suite"},
		"a waiver without a reason":            {withWaiver("canaries", ""), "suite"},
		"a lack of no trait":                   {withLack("wings", "it cannot fly"), "suite"},
		"a lack of what the store can do":      {withLack(connectortest.Trait(connectortest.IgnoreWrites), "it says"), "read_back_honest"},
		"direct with hosts":                    {withTransport(connectortest.Direct), "suite"},
	} {
		t.Run(name, func(t *testing.T) {
			if f := connectortest.Check(t, c.suite); len(f[c.where]) == 0 {
				t.Errorf("passes; failures elsewhere: %v", f)
			}
		})
	}
}

func withWaiver(law, reason string) connectortest.Suite {
	s := overHTTP()
	s.Waivers = map[string]string{law: reason}
	return s
}

func withLack(trait connectortest.Trait, reason string) connectortest.Suite {
	s := overHTTP()
	s.Lacks = map[connectortest.Trait]string{trait: reason}
	return s
}

func withTransport(transport connectortest.Transport) connectortest.Suite {
	s := overHTTP()
	s.Transport = transport
	return s
}
