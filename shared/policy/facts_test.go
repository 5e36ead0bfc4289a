package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

func facts(t *testing.T, company, kind string, place dsr.Place, rights ...dsr.Right) policy.NoticeFacts {
	t.Helper()
	return load(t, company).Facts(kind, asked("2026-03-02", policy.Question{Rights: rights, Place: place}))
}

// says fails unless one of the sentences holds the words.
func says(t *testing.T, what string, sentences []string, words string) {
	t.Helper()
	if !slices.ContainsFunc(sentences, func(s string) bool { return strings.Contains(s, words) }) {
		t.Errorf("%s: %q says nothing of %q", what, sentences, words)
	}
}

func silent(t *testing.T, what string, sentences []string, words string) {
	t.Helper()
	if slices.ContainsFunc(sentences, func(s string) bool { return strings.Contains(s, words) }) {
		t.Errorf("%s: %q speaks of %q", what, sentences, words)
	}
}

func TestFactsNameTheAuthorityOfThePlace(t *testing.T) {
	for place, want := range map[dsr.Place]string{"PL": "uodo", "NO": "datatilsynet", "GB": "ico.org.uk", "CH": "edoeb", "BR": "anpd", "US-CA": "cppa"} {
		f := facts(t, "pythonmaster", policy.NoticeRefusal, place, dsr.Access)
		if !strings.Contains(strings.ToLower(f.Authority), want) {
			t.Errorf("%s: the authority is %q, want one with %s", place, f.Authority, want)
		}
		if f.Law == "" || f.Court == "" && f.Appeal == "" || f.Clock == "" || len(f.Rights) < 5 {
			t.Errorf("%s: the facts %+v are not whole", place, f)
		}
	}
	// A company of the EEA owes the GDPR to everyone: its rights stand beside those of the person's own law.
	f := facts(t, "cambridge-ai", policy.NoticeAccess, "US-CA", dsr.Access)
	says(t, "rights of a Californian", f.Rights, "(Art. 18)")
}

func TestFactsAreThoseOfTheRequest(t *testing.T) {
	f := facts(t, "pythonmaster", policy.NoticeAcknowledge, "PL", dsr.Erasure)
	says(t, "channels", f.Channels, "dashboard")
	silent(t, "channels", f.Channels, "unsubscribe")
	if f.Controller != "PythonMaster, 123 Education Street, Tech City, TC 12345, United States" || f.Contacts.Mail != "privacy@pythonmaster.com" || f.Representative != "" {
		t.Errorf("the controller is %q, mail %q, representative %q", f.Controller, f.Contacts.Mail, f.Representative)
	}
	if f.Received.IsZero() || f.Clock == "" {
		t.Errorf("received %v, clock %q", f.Received, f.Clock)
	}
	i := slices.IndexFunc(f.Categories, func(k policy.CategoryFacts) bool { return k.ID == "account" })
	if want := "Kept for 3 years after you close your account, for our own purposes; we erase it earlier when you ask."; f.Categories[i].Period != want {
		t.Errorf("the period reads %q, want %q", f.Categories[i].Period, want)
	}
	i = slices.IndexFunc(f.Categories, func(k policy.CategoryFacts) bool { return k.ID == "payments" })
	if got := f.Categories[i].Recipients; !slices.Equal(got, []string{"Amazon Web Services (hosting)", "PayPal"}) {
		t.Errorf("payments go to %v", got)
	}
	names := map[string]int{}
	for _, r := range f.Recipients {
		names[r.Name]++
	}
	for _, name := range []string{"Stripe", "PayPal", "SendGrid", "Mailchimp", "Zendesk", "Intercom", "Google (Analytics)", "Google (Cloud)", "Amazon Web Services (hosting)"} {
		if names[name] != 1 {
			t.Errorf("%s is named %d times among the recipients, want once", name, names[name])
		}
	}
}

// A subject that a policy asks for helps; a mail without it is no less a request.
func TestAChannelTellsItsSubject(t *testing.T) {
	says(t, "channels of a Californian", facts(t, "learnai", policy.NoticeAcknowledge, "US-CA", dsr.Access).Channels,
		`Write "My California Privacy Rights" as the subject; a mail without it counts too.`)
}

func TestRepresentativeIsThatOfTheRegion(t *testing.T) {
	for place, want := range map[dsr.Place]bool{"PL": true, "NO": true, "": true, "GB": false, "CH": false, "BR": false, "US-CA": false, "JP": false} {
		f := facts(t, "learnai", policy.NoticeAccess, place, dsr.Access)
		if got := strings.Contains(f.Representative, "Martelarenlaan 38"); got != want {
			t.Errorf("%q: the representative is %q, want one %v", place, f.Representative, want)
		}
	}
}

func TestAnOptOutSaysWhatStopsWhatIsLostAndWhatGoesOn(t *testing.T) {
	f := facts(t, "wearelearning", policy.NoticeOptOut, "US-CA", dsr.OptOutOfSale)
	if len(f.Lost) == 0 {
		t.Error("nothing is said to stop working")
	}
	if f.NextAsk != "2027-03-02" {
		t.Errorf("the next ask is %q, want 12 months after", f.NextAsk)
	}
	if next := facts(t, "wearelearning", policy.NoticeOptOut, " us-ca ", dsr.OptOutOfSale).NextAsk; next != f.NextAsk {
		t.Errorf("a place in small letters gives the next ask %q, want %q", next, f.NextAsk)
	}
	if next := facts(t, "wearelearning", policy.NoticeOptOut, "US-TX", dsr.OptOutOfSale).NextAsk; next != "" {
		t.Errorf("outside California the next ask is %q, want none", next)
	}
	f = facts(t, "learnai", policy.NoticeOptOut, "US-CA", dsr.OptOutOfSale)
	says(t, "what goes on", f.Still, "still see some ads")
	f = facts(t, "learnai", policy.NoticeOptOut, "PL", dsr.ObjectionMarketing)
	if len(f.Stops) < 6 {
		t.Errorf("%d channels of marketing are said to be stopped, want the six of the policy: %q", len(f.Stops), f.Stops)
	}
	if len(f.Lost)+len(f.Still) != 0 {
		t.Errorf("an objection to marketing speaks of sale: %q %q", f.Lost, f.Still)
	}
	if other := facts(t, "learnai", policy.NoticeAccess, "US-CA", dsr.OptOutOfSale); len(other.Stops)+len(other.Lost)+len(other.Still) != 0 {
		t.Errorf("a notice of access speaks of opting out: %+v", other)
	}
}

// What stops working follows the person's answer, and the safe one where none was given.
func TestWhatIsLostFollowsTheAnswer(t *testing.T) {
	for _, c := range []struct {
		company, kind string
		right         dsr.Right
		facts         map[string]string
		want          string
	}{
		{"learningcart", policy.NoticeOptOut, dsr.ConsentWithdrawal, map[string]string{"withdraw": "all"}, "your training end"},
		{"learningcart", policy.NoticeOptOut, dsr.ConsentWithdrawal, map[string]string{"withdraw": "marketing_and_cookies"}, ""},
		{"learningcart", policy.NoticeOptOut, dsr.ConsentWithdrawal, nil, ""},
		{"learningcart", policy.NoticeOptOut, dsr.ObjectionMarketing, map[string]string{"withdraw": "all"}, ""},
		{"pythonmaster", policy.NoticeEraseConfirm, dsr.Erasure, nil, "certificates"},
		{"pythonmaster", policy.NoticeEraseConfirm, dsr.Erasure, map[string]string{"course_progress": "keep"}, ""},
		{"pythonmaster", policy.NoticeErasure, dsr.Erasure, nil, ""},
	} {
		f := load(t, c.company).Facts(c.kind, asked("2026-03-02", policy.Question{Rights: []dsr.Right{c.right}, Place: "BR", Facts: c.facts}))
		if got := strings.Join(f.Lost, " "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s, %s with %v: %q is lost, want %q", c.company, c.kind, c.facts, got, c.want)
		}
	}
}

func TestNoticesCarryTheirOwnSentences(t *testing.T) {
	f := facts(t, "pythonmaster", policy.NoticeBreachSubject, "PL")
	if f.Hours != 72 {
		t.Errorf("people are told within %d hours, want 72", f.Hours)
	}
	says(t, "breach", f.Says, "within 72 hours")
	if f := facts(t, "cambridge-ai", policy.NoticeBreachSubject, "PL"); f.Hours != 0 {
		t.Errorf("a company without a promise tells within %d hours", f.Hours)
	}
	says(t, "policy change", facts(t, "pythonmaster", policy.NoticePolicyChange, "PL").Says, "mail or show a notice")
	says(t, "access", facts(t, "cambridge-ai", policy.NoticeAccess, "PL", dsr.Access).Says, "Art. 11")
	says(t, "erasure", facts(t, "cambridge-ai", policy.NoticeErasure, "PL", dsr.Erasure).Says, "archives")
	silent(t, "access", facts(t, "cambridge-ai", policy.NoticeAccess, "PL", dsr.Access).Says, "archives and backups go later")
	// The company says 13; Poland says 16 and Belgium 13.
	child := facts(t, "cambridge-ai", policy.NoticeParent, "PL", dsr.Erasure)
	says(t, "child", child.Says, "under 13")
	says(t, "child", child.Says, "under 16")
	silent(t, "child in Belgium", facts(t, "pythonmaster", policy.NoticeParent, "BE", dsr.Erasure).Says, "under 16")

	c := load(t, "cambridge-ai")
	for plan, want := range map[string]bool{"api_student": true, "": false} {
		f := c.Facts(policy.NoticeReferral, asked("2026-03-02", policy.Question{Rights: []dsr.Right{dsr.Access}, Place: "PL", Plan: plan}))
		if got := slices.ContainsFunc(f.Says, func(s string) bool { return strings.Contains(s, "Speech Tutor through a school") }); got != want {
			t.Errorf("plan %q: the referral says %q", plan, f.Says)
		}
	}
}
