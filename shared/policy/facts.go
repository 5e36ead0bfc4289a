package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// NoticeFacts is everything a notice can say that rests on law and pack. The
// kinds of notice are those of package notice.
type NoticeFacts struct {
	Kind           string          `json:"kind"`
	Law            string          `json:"law"`
	Clock          string          `json:"clock"` // which rule sets the due date, one sentence
	Controller     string          `json:"controller"`
	Contacts       Contacts        `json:"contacts"`
	Representative string          `json:"representative"`
	Channels       []string        `json:"channels"`
	Authority      string          `json:"authority"`
	Court          string          `json:"court"`
	Appeal         string          `json:"appeal"`
	Transfers      string          `json:"transfers"`
	Rights         []string        `json:"rights"` // the person's rights, plain
	Categories     []CategoryFacts `json:"categories"`
	Recipients     []Recipient     `json:"recipients"`
	Stops          []string        `json:"stops"`    // how to stop each channel of marketing
	Lost           []string        `json:"lost"`     // what stops working
	Still          []string        `json:"still"`    // what goes on after an opt-out
	Says           []string        `json:"says"`     // the pack's own sentences for this notice
	NextAsk        string          `json:"next_ask"` // earliest day to ask for an opt-in again, 2006-01-02
	Hours          int             `json:"hours"`    // breach: within how many hours the company promised to tell; 0 for no promise
	Received       time.Time       `json:"received"`
}

// CategoryFacts is a category as a notice shows it.
type CategoryFacts struct {
	ID, Name, Why, Basis, Retention, Source string
	Period                                  string // how long it is kept when nobody asks, one plain sentence; "" where the pack gives no period
	Recipients                              []string
	Sensitive                               bool
	Forbidden                               bool // its kind may be named; the data never leave
}

// Facts returns what a notice of one kind says that rests on law and pack. The
// same question gives the same facts; a field that the law or the pack leaves
// open is empty, and it is the template that refuses to go without it.
func (c *Company) Facts(kind string, q Question) NoticeFacts {
	q.Place = q.Place.Clean()
	laws := c.Laws(q.Place)
	f := NoticeFacts{
		Kind:           kind,
		Law:            laws[0].Name,
		Controller:     strings.Join(filled(c.Controller.Name, c.Controller.Post), ", "),
		Contacts:       c.Contacts,
		Representative: c.representative(q.Place),
		Channels:       c.channels(q.Rights),
		Authority:      authority(laws, q.Place),
		Court:          laws[0].Court,
		Transfers:      c.Transfers,
		Rights:         c.plainRights(laws),
		Categories:     c.categoryFacts(),
		Recipients:     c.receivers(),
		Received:       received(q.Events),
	}
	for _, law := range laws {
		if f.Appeal == "" {
			f.Appeal = law.Appeal
		}
	}
	f.Says = c.says(kind, q, laws, f.Received)
	if due, err := c.Due(q.Rights, q.Events, q.Place); err == nil {
		f.Clock = due.Says
	}
	switch kind {
	case NoticeEraseConfirm:
		f.Lost = c.lostByAnswer(q)
	case NoticeOptOut:
		f.Lost = c.lostByAnswer(q)
		c.optedOut(&f, q)
	case NoticeBreachSubject:
		f.Hours = c.hours("subjects")
	case NoticeBreachAuthority:
		f.Hours = c.hours("authority")
	}
	return f
}

// plainRights is what every law that applies gives, and what the company lets
// people ask for beside, each once.
func (c *Company) plainRights(laws []Regime) []string {
	var out []string
	for _, law := range laws {
		for _, r := range law.Plain {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	for _, r := range c.Requests {
		out = append(out, r.Name+": "+r.Says)
	}
	return out
}

// filled returns the words that are not empty.
func filled(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// matches reports whether a list that stands for everything when it is empty holds
// one of the words.
func matches[T comparable](list []T, words ...T) bool {
	return len(list) == 0 || slices.ContainsFunc(words, func(w T) bool { return slices.Contains(list, w) })
}

// regions in which a controller from outside needs somebody (GDPR Art. 27 and
// its kin), by country.
var regions = map[string]string{"GB": "uk", "CH": "ch", "BR": "br", "US": "us"}

// region is where a person lives, in the words of a representative's region.
func (c *Company) region(place dsr.Place) string {
	if r, ok := regions[place.Country()]; ok {
		return r
	}
	if id := c.countries[dsr.Place(place.Country())]; id == c.fallback || place == "" {
		return "eea"
	}
	return ""
}

func (c *Company) representative(place dsr.Place) string {
	region := c.region(place)
	for _, r := range c.Representatives {
		if r.Region == region {
			return strings.Join(filled(r.Name, r.Post), ", ")
		}
	}
	return ""
}

// channels says how the asked rights can be used, in the pack's order.
func (c *Company) channels(rights []dsr.Right) []string {
	var out []string
	for _, ch := range c.Channels {
		if len(rights) == 0 || matches(ch.Rights, rights...) {
			says := ch.Says
			if ch.Subject != "" {
				says += fmt.Sprintf(" Write %q as the subject; a mail without it counts too.", ch.Subject)
			}
			out = append(out, says)
		}
	}
	return out
}

// authority names whom the person may complain to: the authority of their place
// under the first law that has one, else what the first law says of it.
func authority(laws []Regime, place dsr.Place) string {
	for _, law := range laws {
		if a, ok := law.Authority(place); ok {
			return strings.Join(filled(a.Name, a.Contact), ", ")
		}
	}
	return laws[0].Complain
}

func (c *Company) categoryFacts() []CategoryFacts {
	out := make([]CategoryFacts, 0, len(c.Categories))
	for _, k := range c.Categories {
		out = append(out, CategoryFacts{
			ID: k.ID, Name: k.Name, Why: k.Why, Basis: k.Basis, Retention: k.Retention, Source: k.Source, Period: k.Retain.period(),
			Recipients: c.Recipients(k.ID), Sensitive: k.Sensitive, Forbidden: k.Forbidden,
		})
	}
	return out
}

// The plain words of where a period of retention starts, and why it is kept.
var (
	retainFrom = map[string]string{
		"closure":     "after you close your account",
		"inactivity":  "after you were last active",
		"record":      "after the record was made",
		"consent_end": "after you take back your consent",
	}
	retainWhy = map[string]string{
		"legal_obligation": "because a law asks us to keep it",
		"legal_claims":     "for claims that may go to court",
		"business_purpose": "for our own purposes; we erase it earlier when you ask",
		"contract":         "for our contract with you",
		"consent":          "because you agreed",
	}
)

// period says in one sentence how long a category is kept when nobody asks.
func (r Retain) period() string {
	if r.From == "" {
		return ""
	}
	var long []string
	for _, part := range []struct {
		n    int
		unit string
	}{{r.Years, "year"}, {r.Months, "month"}} {
		switch {
		case part.n == 1:
			long = append(long, "1 "+part.unit)
		case part.n > 1:
			long = append(long, fmt.Sprintf("%d %ss", part.n, part.unit))
		}
	}
	return fmt.Sprintf("Kept for %s %s, %s.", strings.Join(long, " and "), retainFrom[r.From], retainWhy[r.Reason])
}

// receivers is everyone who receives data, by name (GDPR Art. 15(1)(c)): the
// pack's recipients, and those that only a system names.
func (c *Company) receivers() []Recipient {
	all := slices.Clone(c.Receivers)
	for _, s := range c.Systems {
		for _, name := range s.Recipients {
			i := slices.IndexFunc(all, func(r Recipient) bool { return r.Name == name })
			if i < 0 {
				all = append(all, Recipient{Name: name, Standing: "processor", Systems: []string{s.ID}, Categories: slices.Clone(s.Categories)})
			}
		}
	}
	return all
}

// says collects the pack's own sentences for a notice.
func (c *Company) says(kind string, q Question, laws []Regime, on time.Time) []string {
	var out, ids []string
	for _, law := range laws {
		ids = append(ids, law.ID)
	}
	for _, s := range c.Says {
		if matches(s.Notices, kind) && matches(s.Rights, q.Rights...) && matches(s.Plans, q.Plan) && matches(s.Regimes, ids...) {
			out = append(out, s.Text)
		}
	}
	switch kind {
	case NoticeParent, NoticeChildReport:
		for _, m := range c.Minors {
			out = append(out, m.Says)
		}
		if a, ok := age(laws, q.Place, on); ok {
			out = append(out, fmt.Sprintf("Where you live, a parent must agree for a child under %d.", a.Years))
		}
	case NoticeBreachSubject, NoticeBreachAuthority:
		for _, b := range c.Breaches {
			if (b.Whom == "subjects") == (kind == NoticeBreachSubject) {
				out = append(out, b.Says)
			}
		}
	case NoticePolicyChange:
		for _, n := range c.Changes {
			out = append(out, n.How)
		}
	case NoticeReferral:
		for _, r := range c.Roles {
			if r.Role == "processor" && matches(r.Plans, q.Plan) {
				out = append(out, r.Says)
			}
		}
		for _, r := range c.Routes {
			if matches(r.Rights, q.Rights...) && matches(r.Plans, q.Plan) {
				out = append(out, r.Says)
			}
		}
	case NoticeAccess, NoticePortability, NoticeStatement, NoticeErasure:
		for _, s := range c.Systems {
			if s.Unsearchable != "" {
				out = append(out, s.Unsearchable)
			}
		}
	}
	return out
}

// age is the highest age of consent of the laws that apply.
func age(laws []Regime, place dsr.Place, on time.Time) (highest Age, found bool) {
	for _, law := range laws {
		if a, ok := law.Age(place, on); ok && a.Years > highest.Years {
			highest, found = a, true
		}
	}
	return highest, found
}

// optedOut fills in what an opt-out, an objection or a consent taken back
// changes and what it does not.
func (c *Company) optedOut(f *NoticeFacts, q Question) {
	stops := func(purposes ...dsr.Purpose) bool {
		return slices.ContainsFunc(q.Rights, func(r dsr.Right) bool { return slices.Contains(purposes, r.Stops()) })
	}
	if stops(dsr.Marketing, dsr.Consent) {
		for _, m := range c.Marketing {
			f.Stops = append(f.Stops, m.Stop)
		}
	}
	if stops(dsr.Sale, dsr.TargetedAds, dsr.Profiling) {
		for _, s := range c.Sales {
			f.Lost = append(f.Lost, filled(s.Lost)...)
			f.Still = append(f.Still, filled(s.Still)...)
			f.Says = append(f.Says, s.Says)
		}
	}
	// California: nobody may ask a person to opt in again within twelve months
	// (CCPA 1798.135(c)(4)).
	if q.Place == "US-CA" && stops(dsr.Sale, dsr.Sensitive) && !f.Received.IsZero() {
		f.NextAsk = f.Received.In(c.Zone).AddDate(1, 0, 0).Format(time.DateOnly)
	}
}

// lostByAnswer is what stops working with the answers that a person gave, or
// with the safe ones where they gave none.
func (c *Company) lostByAnswer(q Question) []string {
	var out []string
	for _, a := range c.Asks {
		if len(a.Plans) > 0 && !slices.Contains(a.Plans, q.Plan) || !matches(a.Rights, q.Rights...) {
			continue
		}
		answer, said := q.Facts[a.Answer]
		if !said {
			answer = a.Default
		}
		for _, e := range a.Effects {
			if e.Choice == answer {
				out = append(out, filled(e.Lost)...)
			}
		}
	}
	return out
}

// hours is the shortest promise about telling of a breach.
func (c *Company) hours(whom string) int {
	shortest := 0
	for _, b := range c.Breaches {
		if b.Whom == whom && (shortest == 0 || b.Hours < shortest) {
			shortest = b.Hours
		}
	}
	return shortest
}
