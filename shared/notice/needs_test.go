package notice_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/policy"
)

// What each notice must hold, by the list of notices that the law and the five
// policies ask for. What is not among the fields is a sentence of the letter
// itself, and the words of the letters are read in testdata/letters.txt.
var demanded = map[string][]string{
	// reference, right, law, received date, due date, how identity is checked, contact (and how to withdraw)
	policy.NoticeAcknowledge: {"Reference", "Rights", "Facts.Law", "Received", "Due", "Proof", "Facts.Contacts.Mail"},
	policy.NoticeChallenge:   {"Reference", "Rights", "Facts.Law", "Received", "Due", "Proof", "Facts.Contacts.Mail", "ConfirmLink", "DisownLink", "LinkDue"},
	policy.NoticeReminder:    {"Reference", "Rights", "Facts.Law", "Received", "Due", "Proof", "Facts.Contacts.Mail", "ConfirmLink", "DisownLink", "LinkDue"},
	// what is doubted, least data needed, safe way to send it, clock effect, what happens if unanswered
	policy.NoticeIdentity: {"WhatIsDoubted", "LeastData", "SafeWay", "ClockEffect", "IfUnanswered"},
	// question, clock effect
	policy.NoticeClarification: {"Question", "ClockEffect"},
	// what will be deleted, what kept and why, (what stops working,) expiry, a form
	policy.NoticeEraseConfirm: {"Rows", "LinkDue", "ConfirmLink"},
	// reason, new date, complaint authority
	policy.NoticeExtension: {"Reason", "OldDue", "Due", "Facts.Authority"},
	// art. 15 information or CA categories, recipients by name, (withheld kinds, redactions,) bundle link + expiry
	policy.NoticeAccess: {"Rows", "Facts.Categories[].Name", "Facts.Categories[].Why", "Facts.Categories[].Retention", "Facts.Categories[].Source", "Facts.Recipients[].Name",
		"Facts.Rights", "Facts.Authority", "BundleLink", "BundleDue"},
	policy.NoticePortability: {"Rows", "Format", "BundleLink", "BundleDue"},
	policy.NoticeStatement:   {"Facts.Categories[].Name", "Facts.Categories[].Why", "Facts.Categories[].Source", "Facts.Recipients[].Name"},
	// per category and system result, retained + cite + end date, (suppression entry, backups, recipients told, record kept)
	policy.NoticeErasure: {"Rows"},
	// fields changed, systems, recipients (as rows)
	policy.NoticeRectification:  {"Fields", "Systems", "Rows"},
	policy.NoticeAddressChanged: {"Fields", "Address", "EffectiveOn", "DisownLink"},
	policy.NoticeRestriction:    {"Systems", "Rows"},
	policy.NoticeLifting:        {"Reason", "EffectiveOn", "Systems"},
	// scope, (what still runs, features lost,) next-ask date
	policy.NoticeOptOut: {"Purposes", "Facts.NextAsk"},
	policy.NoticeAnswer: {"Facts.Authority"},
	// reason + cite, authority, court, appeal or complaint to controller, (fee if any)
	policy.NoticeRefusal: {"Refusals[].Says", "Refusals[].Cite", "Refusals[].Authority", "Refusals[].Remedy", "Refusals[].Appeal", "Facts.Contacts.Complain"},
	// name of customer, what was passed on, what we still answer ourselves
	policy.NoticeReferral: {"To", "PassedOn", "StillOurs"},
	// subject key the recipient knows, action, deadline, callback
	policy.NoticeRecipient: {"SubjectKey", "Action", "Deadline", "Callback"},
	// authority checked, method
	policy.NoticeAgent:       {"Requester", "Checked", "Method"},
	policy.NoticeParent:      {"Requester", "Checked", "Method"},
	policy.NoticeChildReport: {"Received", "Due"},
	policy.NoticeUnverified:  {"FormLink", "Facts.Authority", "Facts.Contacts.Complain"},
	policy.NoticeWithdrawn:   {"Reference"},
	// nature, data, effects, measures, contact
	policy.NoticeBreachSubject:   {"Nature", "Data", "Effects", "Measures", "Facts.Contacts.Mail"},
	policy.NoticeBreachAuthority: {"Nature", "Data", "Numbers", "Effects", "Measures", "Facts.Contacts.Mail", "AwareAt"},
	// requester, scope
	policy.NoticeLegalProcess: {"Asker", "Scope"},
	// what changes, date
	policy.NoticePolicyChange: {"Changes", "EffectiveOn"},
}

// full is a request for which everything that is needed under some condition is
// needed: the law gives an appeal, and a part is kept.
func full(kind string) (policy.NoticeFacts, notice.Values) {
	f, v := facts(kind), values(kind)
	f.Appeal = "You may ask us to look at it again."
	if len(v.Rows) == 0 {
		v.Rows = []notice.Row{exported}
	}
	v.Rows = append(v.Rows, retained)
	for i := range v.Refusals {
		v.Refusals[i].Appeal = f.Appeal
	}
	return f, v
}

// at finds what lies at a path of needs; the first of a list.
func at(f *policy.NoticeFacts, v *notice.Values, path string) reflect.Value {
	at := reflect.ValueOf(v).Elem()
	if rest, ok := strings.CutPrefix(path, "Facts."); ok {
		at, path = reflect.ValueOf(f).Elem(), rest
	}
	for _, name := range strings.Split(path, ".") {
		name, each := strings.CutSuffix(name, "[]")
		if at = at.FieldByName(name); each {
			at = at.Index(at.Len() - 1)
		}
	}
	return at
}

func TestEveryDemandedFieldIsNeeded(t *testing.T) {
	for _, kind := range policy.Notices() {
		for _, path := range demanded[kind] {
			if !slices.Contains(notice.Needs(kind), path) {
				t.Errorf("%s goes out without %s", kind, path)
			}
		}
		if len(demanded[kind]) == 0 {
			t.Errorf("%s demands nothing", kind)
		}
	}
}

func TestNothingIsWrittenWithoutARequiredField(t *testing.T) {
	for _, kind := range policy.Notices() {
		f, v := full(kind)
		if _, err := notice.Write(kind, "en", f, v); err != nil {
			t.Errorf("with everything: %v", err)
			continue
		}
		for _, path := range notice.Needs(kind) {
			f, v := full(kind)
			field := at(&f, &v, path)
			field.Set(reflect.Zero(field.Type()))
			refused(t, kind, path, f, v)
			if field.Kind() == reflect.String {
				field.SetString(" \n")
				refused(t, kind, path, f, v)
			}
		}
	}
}

func refused(t *testing.T, kind, path string, f policy.NoticeFacts, v notice.Values) {
	t.Helper()
	_, err := notice.Write(kind, "en", f, v)
	if err == nil || !strings.Contains(err.Error(), "the notice "+kind+": "+path+" is empty") {
		t.Errorf("%s without %s: %v", kind, path, err)
	}
}

// A field that is required is told, too: another value gives another letter.
func TestEveryRequiredFieldShows(t *testing.T) {
	for _, kind := range policy.Notices() {
		f, v := full(kind)
		before := write(t, kind, "en", f, v)
		for _, path := range notice.Needs(kind) {
			f, v := full(kind)
			field, want := at(&f, &v, path), ""
			switch x := field.Interface().(type) {
			case time.Time:
				field.Set(reflect.ValueOf(x.AddDate(1, 0, 0)))
			case []string:
				want = "zebra"
				field.Set(reflect.ValueOf(append(slices.Clone(x), want)))
			case []dsr.Right:
				field.Set(reflect.ValueOf([]dsr.Right{dsr.HumanReview}))
			case []dsr.Purpose:
				field.Set(reflect.ValueOf([]dsr.Purpose{dsr.Consent}))
			case []policy.Proof:
				field.Set(reflect.ValueOf([]policy.Proof{policy.DocumentProof}))
			case dsr.Right:
				field.SetString(string(dsr.HumanReview))
			case dsr.Requester:
				field.SetString(string(dsr.School))
			case dsr.OutcomeKind:
				field.SetString(string(dsr.Suppressed))
			case string:
				switch {
				case path == "Address":
					field.SetString("new")
				case path == "Facts.NextAsk":
					field.SetString("2029-01-01")
				default:
					want = "zebra"
					field.SetString(x + want)
				}
			case []notice.Row, []policy.Refusal, []policy.CategoryFacts, []policy.Recipient:
				field.Set(reflect.AppendSlice(field, field))
			default:
				t.Fatalf("%s: no other value for a %T", path, x)
			}
			after := write(t, kind, "en", f, v)
			if after.Text == before.Text && after.Subject == before.Subject || !strings.Contains(after.Text+after.Subject, want) || !strings.Contains(after.HTML+after.Subject, want) {
				t.Errorf("%s does not tell %s", kind, path)
			}
		}
	}
}

// What is kept is told with reason, law and end; the letter refuses to hide one.
func TestARowWithoutItsReasonIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		change func(*notice.Row)
		field  string
	}{
		"no reason":          {policy.NoticeErasure, func(r *notice.Row) { r.Why = "" }, "Rows[].Why"},
		"no law":             {policy.NoticeErasure, func(r *notice.Row) { r.Cite = " " }, "Rows[].Cite"},
		"no end":             {policy.NoticeErasure, func(r *notice.Row) { r.Outcome.Until = "" }, "Rows[].Outcome.Until"},
		"no system":          {policy.NoticeAnswer, func(r *notice.Row) { r.System = "" }, "Rows[].System"},
		"no data":            {policy.NoticeAccess, func(r *notice.Row) { r.Data = "" }, "Rows[].Data"},
		"kept for no reason": {policy.NoticeErasure, func(r *notice.Row) { r.Outcome.Kind, r.Why = dsr.Kept, "" }, "Rows[].Why"},
		"referred to nobody": {policy.NoticeErasure, func(r *notice.Row) { r.Outcome = dsr.Outcome{Category: "account", Kind: dsr.Referred} }, "Rows[].Outcome.To"},
	} {
		f, v := full(c.kind)
		c.change(&v.Rows[len(v.Rows)-1])
		if _, err := notice.Write(c.kind, "en", f, v); err == nil || !strings.Contains(err.Error(), c.kind) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, v := full(policy.NoticeErasure)
	v.Rows[1] = notice.Row{System: "Pay Ltd", Data: "Your payments", Hold: true, Outcome: dsr.Outcome{Category: "payments", Kind: dsr.Retained, Ground: "hold", Until: "hold_lifted"}}
	if m := write(t, policy.NoticeErasure, "en", f, v); !strings.Contains(m.Text, "There is no end date yet") {
		t.Errorf("a hold: %s", m.Text)
	}
}

// What is needed only sometimes is not asked for otherwise.
func TestWhatIsNotOwedIsNotDemanded(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		change func(*policy.NoticeFacts, *notice.Values)
	}{
		"own words name no right":                   {policy.NoticeAcknowledge, func(_ *policy.NoticeFacts, v *notice.Values) { v.Rights, v.Words = nil, true }},
		"no appeal where the law gives none":        {policy.NoticeRefusal, func(f *policy.NoticeFacts, v *notice.Values) { f.Appeal, v.Refusals[0].Appeal = "", "" }},
		"no court where nothing is refused":         {policy.NoticeErasure, func(f *policy.NoticeFacts, v *notice.Values) { f.Court, v.Rows = "", []notice.Row{erased} }},
		"no day to ask again outside of California": {policy.NoticeOptOut, func(f *policy.NoticeFacts, _ *notice.Values) { f.Law, f.NextAsk = "Swiss law", "" }},
		"no day to ask again after a plain marketing": {policy.NoticeOptOut, func(f *policy.NoticeFacts, v *notice.Values) {
			f.NextAsk, v.Rights = "", []dsr.Right{dsr.ObjectionMarketing}
		}},
	} {
		f, v := full(c.kind)
		c.change(&f, &v)
		if _, err := notice.Write(c.kind, "en", f, v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownKindIsRefused(t *testing.T) {
	if _, err := notice.Write("greeting", "en", facts(""), values("")); err == nil || !strings.Contains(err.Error(), `"greeting"`) {
		t.Errorf("%v", err)
	}
	if notice.Version("greeting") != "" {
		t.Error("a kind that is none has a version")
	}
}

// Whatever law and pack say of a kind of notice is in its letter.
func TestEveryFactShowsWhereItBelongs(t *testing.T) {
	// The recipient's letter is about somebody else: it says who asks, and no more.
	toPeople := slices.DeleteFunc(policy.Notices(), func(k string) bool { return k == policy.NoticeRecipient })
	copies := []string{policy.NoticeAccess, policy.NoticeStatement}
	outcomes := []string{policy.NoticeExtension, policy.NoticeAccess, policy.NoticePortability, policy.NoticeStatement, policy.NoticeErasure, policy.NoticeRectification,
		policy.NoticeRestriction, policy.NoticeLifting, policy.NoticeOptOut, policy.NoticeAnswer, policy.NoticeUnverified, policy.NoticeReferral}
	received := []string{policy.NoticeAcknowledge, policy.NoticeChallenge, policy.NoticeReminder}
	stopped := []string{policy.NoticeOptOut}
	for _, c := range []struct {
		what  string
		set   func(*policy.NoticeFacts)
		kinds []string
	}{
		{"law", func(f *policy.NoticeFacts) { f.Law += " zebra" }, received},
		{"clock", func(f *policy.NoticeFacts) { f.Clock += " zebra" }, received},
		{"controller", func(f *policy.NoticeFacts) { f.Controller += " zebra" }, toPeople},
		{"officer", func(f *policy.NoticeFacts) { f.Contacts.Officer += " zebra" }, toPeople},
		{"phone", func(f *policy.NoticeFacts) { f.Contacts.Phone += " zebra" }, toPeople},
		{"post", func(f *policy.NoticeFacts) { f.Contacts.Post += " zebra" }, toPeople},
		{"mail", func(f *policy.NoticeFacts) { f.Contacts.Mail += "zebra" }, policy.Notices()},
		{"complaint", func(f *policy.NoticeFacts) { f.Contacts.Complain += " zebra" }, outcomes},
		{"representative", func(f *policy.NoticeFacts) { f.Representative += " zebra" }, toPeople},
		{"channels", func(f *policy.NoticeFacts) { f.Channels = []string{"zebra"} }, toPeople},
		{"authority", func(f *policy.NoticeFacts) { f.Authority = "zebra" }, outcomes},
		{"authority as a sentence", func(f *policy.NoticeFacts) { f.Authority = "Ask the zebra." }, outcomes},
		{"court", func(f *policy.NoticeFacts) { f.Court += " zebra" }, outcomes},
		{"appeal", func(f *policy.NoticeFacts) { f.Appeal = "zebra" }, outcomes},
		{"transfers", func(f *policy.NoticeFacts) { f.Transfers += " zebra" }, copies},
		{"rights", func(f *policy.NoticeFacts) { f.Rights = append(f.Rights, "zebra") }, copies},
		{"a category's name", func(f *policy.NoticeFacts) { f.Categories[0].Name = "zebra" }, copies},
		{"its purpose", func(f *policy.NoticeFacts) { f.Categories[0].Why = "zebra" }, copies},
		{"its basis", func(f *policy.NoticeFacts) { f.Categories[0].Basis = "zebra" }, copies},
		{"its retention", func(f *policy.NoticeFacts) { f.Categories[0].Retention = "zebra" }, copies},
		{"its period", func(f *policy.NoticeFacts) { f.Categories[0].Period = "zebra" }, copies},
		{"its source", func(f *policy.NoticeFacts) { f.Categories[0].Source = "zebra" }, copies},
		{"its recipients", func(f *policy.NoticeFacts) { f.Categories[0].Recipients = []string{"zebra"} }, copies},
		{"a recipient", func(f *policy.NoticeFacts) { f.Recipients[0].Name = "zebra" }, copies},
		{"where it is", func(f *policy.NoticeFacts) { f.Recipients[0].Where = "zebra" }, copies},
		{"says", func(f *policy.NoticeFacts) { f.Says = append(f.Says, "zebra") }, toPeople},
		{"stops", func(f *policy.NoticeFacts) { f.Stops = append(f.Stops, "zebra") }, stopped},
		{"still", func(f *policy.NoticeFacts) { f.Still = append(f.Still, "zebra") }, stopped},
		{"lost", func(f *policy.NoticeFacts) { f.Lost = append(f.Lost, "zebra") }, []string{policy.NoticeOptOut, policy.NoticeEraseConfirm}},
	} {
		for _, kind := range c.kinds {
			f, v := facts(kind), values(kind)
			f.Categories, f.Recipients = slices.Clone(f.Categories), slices.Clone(f.Recipients)
			c.set(&f)
			for i := range v.Refusals { // the refusal's own words are its own
				v.Refusals[i].Appeal = f.Appeal
			}
			if m := write(t, kind, "en", f, v); !strings.Contains(m.Text, "zebra") || !strings.Contains(m.HTML, "zebra") {
				t.Errorf("%s does not tell the %s", kind, c.what)
			}
		}
	}
	for what, c := range map[string]struct {
		set  func(*policy.NoticeFacts)
		says string
	}{
		"sensitive": {func(f *policy.NoticeFacts) { f.Categories[0].Sensitive = true }, "Your account (sensitive)"},
		"forbidden": {func(f *policy.NoticeFacts) { f.Categories[0].Forbidden = true }, "Your account (we never send this out)"},
		"standing":  {func(f *policy.NoticeFacts) { f.Recipients[0].Standing = "third_party" }, "Cloud Ltd, another company"},
	} {
		f := facts(policy.NoticeAccess)
		c.set(&f)
		if m := write(t, policy.NoticeAccess, "en", f, values(policy.NoticeAccess)); !strings.Contains(m.Text, c.says) {
			t.Errorf("%s: the letter lacks %q", what, c.says)
		}
	}
}
