package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// decision is what law and pack say of a request, once more at the moment of the
// letter: the letter gives its reasons.
func (s *Subject) decision(d dossier.Dossier) (policy.Resolution, error) {
	if len(d.Request.Rights) == 0 { // words alone: a person reads them
		return policy.Resolution{}, nil
	}
	found, err := s.Company.Resolve(d.Question())
	if err != nil {
		return policy.Resolution{}, fmt.Errorf("deciding what to tell of request %s: %w", d.Request.ID, err)
	}
	return found, nil
}

// told is one kind of notice with the rights that it answers.
var told = []struct {
	kind    string
	answers func(dsr.Right) bool
}{
	{policy.NoticeErasure, func(r dsr.Right) bool { return r.Means() == dsr.ByRemoval }},
	{policy.NoticeRectification, func(r dsr.Right) bool { return r.Means() == dsr.ByChange }},
	{policy.NoticeRestriction, func(r dsr.Right) bool { return r.Means() == dsr.ByMark && !ends(r) }},
	{policy.NoticeOptOut, ends},
	{policy.NoticeStatement, func(r dsr.Right) bool { return r.Means() == dsr.ByStatement }},
}

// ends reports whether a right ends a use, so that its letter says which. An
// objection does, while it is weighed (GDPR Art. 21(1)).
func ends(r dsr.Right) bool { return r.Means() == dsr.ByStop || r == dsr.Objection }

// kinds are the notices of which an answer is made, by what was asked and what was
// decided, the most lasting first.
func kinds(r ledger.Request, found policy.Resolution) []string {
	var all []string
	run := found.Plan.Rights
	for _, t := range told {
		if slices.ContainsFunc(run, t.answers) {
			all = append(all, t.kind)
		}
	}
	if dsr.Wants(run, dsr.ByPerson) || r.Words {
		all = append(all, policy.NoticeAnswer)
	}
	if len(found.Refusals) > 0 {
		all = append(all, policy.NoticeRefusal)
	}
	if len(found.Referrals) > 0 {
		all = append(all, policy.NoticeReferral)
	}
	if len(all) == 0 {
		all = append(all, policy.NoticeAnswer)
	}
	return all
}

// copies are the kinds of the letter that brings the copy.
func copies(r ledger.Request, found policy.Resolution, acts bool) []string {
	var all []string
	run := found.Plan.Rights
	if len(run) == 0 || slices.Contains(run, dsr.Access) {
		all = append(all, policy.NoticeAccess)
	}
	if slices.ContainsFunc(run, func(r dsr.Right) bool { return r == dsr.Portability || r == dsr.DirectTransfer }) {
		all = append(all, policy.NoticePortability)
	}
	if acts {
		return all // the answer tells the rest
	}
	// The letter with the copy is the answer to everything.
	rest := kinds(r, found)
	if !r.Words && !dsr.Wants(run, dsr.ByPerson) {
		rest = slices.DeleteFunc(rest, func(k string) bool { return k == policy.NoticeAnswer })
	}
	return append(all, rest...)
}

// letter writes the notices of the kinds as one letter.
func (s *Subject) letter(d dossier.Dossier, kinds []string, v notice.Values) (mail.Letter, error) {
	var all []mail.Letter
	for _, kind := range kinds {
		l, err := notice.Write(kind, d.Request.Language, s.Company.Facts(kind, d.Question()), v)
		if err != nil {
			return mail.Letter{}, fmt.Errorf("writing to the person of request %s: %w", d.Request.ID, err)
		}
		all = append(all, l)
	}
	return notice.Join(all...), nil
}

// decided fills in what is refused and what is somebody else's.
func (s *Subject) decided(lang string, found policy.Resolution, v *notice.Values) {
	v.Refusals = found.Refusals
	if len(found.Referrals) == 0 {
		return
	}
	var to, contacts []string
	theirs := map[string]bool{}
	add := func(list *[]string, word string) {
		if word != "" && !slices.Contains(*list, word) {
			*list = append(*list, word)
		}
	}
	for _, r := range found.Referrals {
		for _, id := range r.Categories {
			theirs[id] = true
		}
		name := r.To
		for _, c := range s.Company.Customers {
			if c.ID == r.Customer {
				name = c.Name
				add(&contacts, c.Contact)
			}
		}
		add(&to, name)
	}
	v.To, v.ToContact = strings.Join(to, "; "), strings.Join(contacts, "; ")
	v.PassedOn, v.StillOurs = notice.Word(lang, "nothing_passed"), notice.Word(lang, "nothing_ours")
	if len(found.Plan.Waves) == 0 {
		return
	}
	var ours []string
	for _, k := range s.Company.Categories {
		if !theirs[k.ID] {
			ours = append(ours, k.Name)
		}
	}
	if len(ours) > 0 {
		v.StillOurs = strings.Join(ours, "; ")
	}
}

// coolingOff returns when a change of an address is made that waits so that it
// can be stopped; the zero time where none waits.
func coolingOff(visits []dsr.Visit) time.Time {
	for _, v := range visits {
		for _, o := range v.Outcomes {
			if o.Kind == dsr.Deferred && o.Reason == reasonCoolingOff {
				return o.DueAt
			}
		}
	}
	return time.Time{}
}

// reasonCoolingOff is the closed word of an outcome that waits for that.
const reasonCoolingOff = "cooling_off"

// addressChanged tells the old and the new address, once each, that an address
// will change, and the old one how to stop it.
func (s *Subject) addressChanged(ctx context.Context, d dossier.Dossier, visits []dsr.Visit, statusLink string) error {
	on := coolingOff(visits)
	if on.IsZero() {
		return nil
	}
	v := s.values(d, visits)
	v.EffectiveOn, v.StatusLink = on, ""
	to := []struct{ name, address, link string }{{"old", d.Subject.MailTo(), statusLink}}
	for _, c := range d.Subject.Changes {
		if _, err := dsr.ParseAddress(c.New); err == nil && c.Field == string(dsr.Email) {
			to = append(to, struct{ name, address, link string }{"new", c.New, ""})
		}
	}
	for _, t := range to {
		name := policy.NoticeAddressChanged + "_" + t.name + "#1"
		if _, sent := d.Request.Notices[name]; sent {
			continue
		}
		v.Address, v.DisownLink = t.name, t.link
		l, err := s.letter(d, []string{policy.NoticeAddressChanged}, v)
		if err != nil {
			return err
		}
		if err := s.send(ctx, d, t.address, name, []string{policy.NoticeAddressChanged}, l, func(*ledger.Request) {}); err != nil {
			return err
		}
	}
	return nil
}
