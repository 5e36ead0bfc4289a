package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/policy"
)

// The challenge confirms the receipt, too: everything the law wants said stands in
// it (11 CCR 7021(a)), and the record says which letter it was.
func TestChallengeAcknowledges(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	text := s.mail.To(dsrtest.Ada.Email)[0].Text
	for what, want := range map[string]string{
		"reference": string(id), "right": "a copy of your data", "law": "General Data Protection Regulation", "receipt": "2 November 2026", "due date": "2 December 2026",
		"proof": "You open the link in our mail", "contact": "privacy@pythonmaster.com", "withdrawal": "You can take your request back at any time",
		"link": "https://writ.example/p/confirm?t=", "disown": "https://writ.example/p/not-me?t=",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the challenge does not tell the %s %q:\n%s", what, want, text)
		}
	}
	s.now = start.Add(90 * time.Hour)
	if err := s.challenge.Send(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	events, err := s.ledger.Events(t.Context(), id, dsr.RequestChain)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		kind := map[dsr.EventKind]string{dsr.EventChallenged: policy.NoticeChallenge, dsr.EventReminded: policy.NoticeReminder}[e.Kind]
		if kind != "" && (len(list(e.Detail["kinds"])) != 1 || list(e.Detail["kinds"])[0] != kind || list(e.Detail["versions"])[0] != notice.Version(kind) || e.Detail["language"] != "en") {
			t.Errorf("%s is recorded as %v", e.Kind, e.Detail)
		}
	}
}

// list reads a list of an event's detail, as it was written or as it is read back.
func list(v any) []string {
	switch all := v.(type) {
	case []string:
		return all
	case []any:
		var out []string
		for _, x := range all {
			out = append(out, x.(string))
		}
		return out
	}
	return nil
}

// substitute is a request that Ben makes for Ada.
func substitute(t *testing.T, s *stand, by dsr.Requester) dsr.RequestID {
	t.Helper()
	id := s.request(dsrtest.Ada, func(r *ledger.Request) { r.By = by })
	d, err := dossier.Open(t.Context(), s.ledger, s.keys, id)
	if err != nil {
		t.Fatal(err)
	}
	d.Subject.For = dsrtest.Ada.Email
	d.Subject.Identities = append(d.Subject.Identities, dsr.Identity{Kind: dsr.Email, Value: dsrtest.Ben.Email, Origin: dsr.SelfAsserted})
	if by != dsr.Agent {
		d.Subject.Reach = dsrtest.Ben.Email
	}
	old, err := s.ledger.Subject(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := d.Reseal(old.WrappedKey, d.Subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.ReplaceSubject(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAnAgentIsToldAndGetsNoLink(t *testing.T) {
	s := newStand(t)
	id := substitute(t, s, dsr.Agent)
	for n := range 3 { // the machine's retries
		if _, err := s.challenge.Handle(t.Context(), verify.Input{V: 1, RequestID: id, Run: 1, TaskToken: strings.Repeat("x", n+1)}); err != nil {
			t.Fatal(err)
		}
	}
	agent, person := s.mail.To(dsrtest.Ben.Email), s.mail.To(dsrtest.Ada.Email)
	if len(agent) != 1 || len(person) != 1 {
		t.Fatalf("%d mails to the agent, %d to the person", len(agent), len(person))
	}
	if strings.Contains(agent[0].Text, "?t=") {
		t.Error("the agent gets a link of the person's")
	}
	for _, m := range []string{agent[0].Text, person[0].Text} {
		if !strings.Contains(m, "We check that the person lets the agent ask.") || !strings.Contains(m, "One of our team reads what the person signed.") {
			t.Errorf("what is checked and how is not told:\n%s", m)
		}
	}
	if !strings.Contains(person[0].Text, "/confirm?t=") || s.read(id).Notices["agent#1"].MessageID == "" || s.count(id, dsr.EventMailed) != 1 {
		t.Error("the person cannot confirm, or the agent's mail is not recorded")
	}
}

func TestAParentIsToldWhatIsChecked(t *testing.T) {
	for by, says := range map[dsr.Requester]string{
		dsr.Parent: "parent or guardian of the child", dsr.School: "the school may ask", dsr.Attorney: "power of attorney is real", dsr.Successor: "may act for the person who died",
		dsr.Reporter: "We may not tell you what we find",
	} {
		s := newStand(t)
		id := substitute(t, s, by)
		s.wait(id, 1)
		all := s.mail.To(dsrtest.Ben.Email)
		if len(all) != 1 || len(s.mail.All()) != 1 || !strings.Contains(all[0].Text, says) || !strings.Contains(all[0].Text, "/confirm?t=") {
			t.Errorf("%s: %d mails, %+v", by, len(s.mail.All()), all)
		}
	}
}

// What law and pack ask for beyond the mailbox stands in the letter.
func TestChallengeTellsEveryProof(t *testing.T) {
	s := newStand(t)
	s.asked(dsrtest.Ada, func(r *ledger.Request) { r.Country, r.State = "US", "CA" })
	text := s.mail.To(dsrtest.Ada.Email)[0].Text
	if !strings.Contains(text, "You tell us three facts.") || !strings.Contains(text, "You sign that you are the person you say you are.") {
		t.Errorf("a Californian who asks for specific pieces is not told how it is checked:\n%s", text)
	}
}

// Before an erasure is confirmed the person reads what goes, what stays and why, and
// what stops working.
func TestChallengeOfAnErasureForetellsIt(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, func(r *ledger.Request) { r.Rights, r.Country, r.State = []dsr.Right{dsr.Erasure}, "US", "TX" })
	m := s.mail.To(dsrtest.Ada.Email)[0]
	for _, want := range []string{"What will be erased", "the PythonMaster learning platform: Your account and contact details", "What we keep, and why", "Your payments and invoices: kept until",
		"26 CFR 1.6001-1", "nobody can check your certificates", "stops working", "If you do not confirm by then, we erase nothing.", "cannot be brought back"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the challenge does not say %q:\n%s", want, m.Text)
		}
	}
	if strings.Contains(m.Text, "it is gone") || strings.Contains(m.Text, "record,") {
		t.Errorf("the challenge speaks as if something had been looked up:\n%s", m.Text)
	}
	if n := strings.Count(m.Text, "Who we are"); n != 1 {
		t.Errorf("who the company is stands %d times", n)
	}
	if r := s.confirm(id, s.codes[id]); r.Status != 200 {
		t.Errorf("confirming: status %d", r.Status)
	}
	s.asked(dsrtest.Ben, nil)
	if text := s.mail.To(dsrtest.Ben.Email)[0].Text; strings.Contains(text, "What will be erased") {
		t.Error("who asks for a copy reads of an erasure")
	}
}

// Every right, asked of every company, can be confirmed: no challenge is held back by
// what a pack leaves open.
func TestEveryRightOfEveryCompanyIsChallenged(t *testing.T) {
	mails := 0
	for _, name := range policy.Companies() {
		company, err := policy.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		plans := []string{""}
		for _, role := range company.Roles {
			plans = append(plans, role.Plans...)
		}
		s := newStand(t)
		s.challenge.Company = company
		for _, place := range []string{"PL", "US-CA", "US-VA", "BR"} {
			for _, right := range dsr.Rights() {
				for _, plan := range plans {
					if plan != "" && right != dsr.Erasure {
						continue
					}
					s.asked(dsrtest.Ada, func(r *ledger.Request) {
						r.Rights, r.Plan = []dsr.Right{right}, plan
						r.Country, r.State, _ = strings.Cut(place, "-")
					})
					mails++
				}
			}
		}
		s.asked(dsrtest.Ada, func(r *ledger.Request) { r.Rights, r.Words = nil, true })
		mails++
		if n := len(s.mail.All()); n != mails {
			t.Fatalf("%s: %d mails of %d", name, n, mails)
		}
		mails = 0
	}
}

// Who lost the mailbox cannot prove it, so they get the confirmation of receipt at the
// address where they can be reached, once, and no link.
func TestLostMailboxIsAcknowledged(t *testing.T) {
	s := newStand(t)
	id := substitute(t, s, dsr.Unmailable)
	if _, err := ledger.Change(t.Context(), s.ledger, id, func(r *ledger.Request) error {
		r.Status, r.Owner, r.Reason = dsr.NeedsAttention, ledger.OfficerRole, ledger.ReasonAddressLost
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.challenge.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	all := s.mail.To(dsrtest.Ben.Email)
	if len(all) != 1 || len(s.mail.All()) != 1 || strings.Contains(all[0].Text, "?t=") {
		t.Fatalf("%d mails, %d to the new address", len(s.mail.All()), len(all))
	}
	for _, want := range []string{string(id), "a copy of your data", "2 November 2026", "You have our answer by 2 December 2026", "which paper we need", "privacy@pythonmaster.com"} {
		if !strings.Contains(all[0].Text, want) {
			t.Errorf("it does not say %q:\n%s", want, all[0].Text)
		}
	}
	if _, err := ledger.Change(t.Context(), s.ledger, id, func(r *ledger.Request) error { r.Reason = "fault"; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.challenge.Send(t.Context(), id); err != nil || len(s.mail.All()) != 1 || s.count(id, dsr.EventMailed) != 1 {
		t.Errorf("another cause: %v, %d mails", err, len(s.mail.All()))
	}
}
