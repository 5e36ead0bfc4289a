package policy

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"github.com/writ-dsr/writ/shared/dsr"
)

// lawBook is every regime, with whom each protects.
type lawBook struct {
	regimes   map[string]Regime
	countries map[dsr.Place]string // place → id of the regime
	fallback  string
	byRank    []string // ids, the most protective first
	problems  Problems
}

// embeddedLaw reads the embedded regimes once: they are the same for every
// company, and nobody writes to what it returns.
var embeddedLaw = sync.OnceValue(func() lawBook {
	book := readLaw(files)
	book.problems = append(book.problems, calendars().problems...)
	return book
})

// The closed words of regimes.
var (
	rowID          = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]+(-[A-Z0-9]+)*$`)
	establishments = []string{"eea", "uk", "ch", "us", "br"}
	clockModels    = []string{string(Suspends), string(Stops), string(Runs)}
	extendReasons  = []string{"complexity", "number_of_requests"}
	proofs         = []string{
		string(Mailbox), string(MatchPoints2), string(MatchPoints3), string(Declaration), string(Permission), string(ParentProof),
		string(SchoolProof), string(AccountLogin), string(DocumentProof),
	}
	requesters = []string{
		string(dsr.Self), string(dsr.Agent), string(dsr.Attorney), string(dsr.Parent), string(dsr.School), string(dsr.Reporter),
		string(dsr.Successor), string(dsr.Unmailable),
	}
	exceptions = []string{
		"manifestly_unfounded", "excessive", "cannot_identify", "others_rights", "trade_secret", "inaccuracy_not_shown", "repeated",
		"expression", "legal_obligation", "public_task", "public_health", "research", "legal_claims", "compelling_grounds",
		"contract", "consent_given", "other_basis", "unverifiable", "archive_only", "disproportionate", "impossible", "fraud_belief",
		"listed_use", "transaction", "security", "debugging", "legal_process", "internal_use", "not_controller", "low_risk", "encrypted",
		"small_business", "opt_out_policy", "already_answered", "proof_of_authority_missing", "public_interest",
	}
	// groundKinds is what a law may let block an erasure. A business purpose is none.
	groundKinds = []string{
		"expression", "legal_obligation", "public_task", "public_health", "research", "legal_claims", "transaction", "contract", "security",
		"debugging", "legal_process", "internal_use", "transfer", "anonymised_use", "public_interest",
	}
)

// readLaw reads every regimes/*.toml of fsys.
func readLaw(fsys fs.FS) lawBook {
	book := lawBook{regimes: map[string]Regime{}, countries: map[dsr.Place]string{}}
	names, err := fs.Glob(fsys, "regimes/*.toml")
	if err != nil || len(names) == 0 {
		book.problems = append(book.problems, Problem{File: "regimes", Line: 1, Key: "file", Says: "no regime found; expected regimes/<id>.toml"})
		return book
	}
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			book.problems = append(book.problems, Problem{File: name, Line: 1, Key: "file", Says: "cannot be read"})
			continue
		}
		var r Regime
		d := read(name, data, &r, &book.problems)
		if d.broken {
			continue
		}
		if want := strings.TrimSuffix(path.Base(name), ".toml"); r.ID != want {
			d.fault("id", "%q is not the file's name; expected %q", r.ID, want)
		}
		book.enter(r, d)
		r.check(d)
	}
	book.byRank = slices.SortedFunc(maps.Keys(book.regimes), func(a, b string) int {
		return cmp.Compare(book.regimes[a].Rank, book.regimes[b].Rank)
	})
	if book.fallback == "" {
		book.problems = append(book.problems, Problem{File: "regimes", Line: 1, Key: "fallback", Says: "no regime is the fallback for an unknown country; expected fallback = true in one"})
	}
	return book
}

// enter takes a regime up: whom it protects, and whether it is the fallback.
func (b *lawBook) enter(r Regime, d document) {
	if len(r.Residents) == 0 {
		d.fault("residents", "is missing or empty")
	}
	for _, place := range r.Residents {
		if !placeForm(place) {
			d.fault("residents", "%q is not a place; expected two capital letters (ISO 3166-1), or a state such as US-CA", place)
		} else if other, taken := b.countries[place]; taken {
			d.fault("residents", "%s belongs to the regime %s already", place, other)
		}
		b.countries[place] = r.ID
	}
	if r.Fallback {
		d.text("", "why", r.Why)
		if b.fallback != "" {
			d.fault("fallback", "the regime %s is the fallback already", b.fallback)
		}
		b.fallback = r.ID
	}
	for id, other := range b.regimes {
		if other.Rank == r.Rank {
			d.fault("rank", "%d is the rank of %s already", r.Rank, id)
		}
	}
	b.regimes[r.ID] = r
}

// check reports every fault inside one regime.
func (r Regime) check(d document) {
	d.text("", "name", r.Name, "complain", r.Complain, "court", r.Court)
	if r.Rank < 1 {
		d.fault("rank", "is %d; expected 1 for the most protective law, or a higher number", r.Rank)
	}
	if len(r.Plain) == 0 {
		d.fault("rights", "is missing or empty")
	}
	for _, e := range r.Established {
		d.oneOf("established", e, establishments...)
	}
	if !r.hasClock(r.General) {
		d.fault("general", "there is no clock %q; expected the id of a [[clock]]", r.General)
	}
	r.checkClocks(d)
	r.checkRules(d, "rule", r.Rules)
	r.checkRules(d, "duty", r.Duties)
	r.checkProofs(d)
	r.checkLists(d)
	r.checkSpans(d)
}

func (r Regime) hasClock(id string) bool {
	return slices.ContainsFunc(r.Clocks, func(k Clock) bool { return k.ID == id })
}

// row checks what every row carries.
func (d document) row(table string, row Row) {
	d.text(table, "cite", row.Cite)
	if !rowID.MatchString(row.ID) {
		d.fault(table+".id", "%q is no id of a row; expected capitals such as EU-ALL", row.ID)
	}
	d.date(table+".valid_from", row.ValidFrom)
	if row.ValidTo != "" {
		d.date(table+".valid_to", row.ValidTo)
		if row.ValidTo < row.ValidFrom {
			d.fault(table+".valid_to", "%s lies before valid_from %s", row.ValidTo, row.ValidFrom)
		}
	}
	d.oneOf(table+".confidence", row.Confidence, checked, recheck)
}

func (r Regime) checkClocks(d document) {
	for i, k := range r.Clocks {
		table := fmt.Sprintf("clock[%d]", i)
		d.row(table, k.Row)
		d.text(table, "says", k.Says)
		d.oneOf(table+".model", string(k.Model), clockModels...)
		set, negative := 0, false
		for _, n := range []int{k.Months, k.Days, k.BusinessDays, k.Hours} {
			if n > 0 {
				set++
			}
			negative = negative || n < 0
		}
		if set != 1 || negative {
			d.fault(table, "needs months, days, business_days or hours, one of them")
		}
		if k.ExtendMonths < 0 || k.ExtendDays < 0 || k.RefuseMonths < 0 || k.RefuseDays < 0 || k.AcknowledgeDays < 0 || k.AcknowledgeBusinessDays < 0 {
			d.fault(table, "counts backwards; expected no negative number")
		}
		if k.extends() != (len(k.ExtendReasons) > 0) {
			d.fault(table+".extend_reasons", "an extension needs a closed list of reasons, and reasons an extension")
		}
		for _, reason := range k.ExtendReasons {
			d.oneOf(table+".extend_reasons", reason, extendReasons...)
		}
		if a := k.AcknowledgeRule; a != "" && !slices.ContainsFunc(r.Duties, func(x Rule) bool { return x.ID == a }) {
			d.fault(table+".acknowledge_rule", "there is no duty %q; expected the id of a [[duty]]", a)
		}
	}
}

func (r Regime) checkRules(d document, kind string, rules []Rule) {
	for i, rule := range rules {
		table := fmt.Sprintf("%s[%d]", kind, i)
		d.row(table, rule.Row)
		d.text(table, "says", rule.Says)
		if kind == "rule" && len(rule.Rights) == 0 {
			d.fault(table+".rights", "is missing or empty; expected rights, or a [[duty]]")
		}
		if kind == "rule" && !r.hasClock(rule.Clock) || rule.Clock != "" && !r.hasClock(rule.Clock) {
			d.fault(table+".clock", "there is no clock %q; expected the id of a [[clock]]", rule.Clock)
		}
		d.rights(table+".rights", rule.Rights)
		for _, n := range rule.Notices {
			d.oneOf(table+".notices", n, Notices()...)
		}
		for _, e := range rule.Exceptions {
			d.oneOf(table+".exceptions", e, exceptions...)
		}
		for _, p := range append(slices.Clone(rule.Places), rule.Except...) {
			d.resident(table+".places", p, r)
		}
		if len(rule.Places) > 0 && len(rule.Except) > 0 {
			d.fault(table+".except", "stands beside places; expected one of them")
		}
		if rule.PerYear < 0 {
			d.fault(table+".per_year", "is negative; expected a number, or 0 for no limit")
		}
		if rule.LookBack != "" {
			d.date(table+".look_back", rule.LookBack)
		}
	}
}

func (r Regime) checkProofs(d document) {
	for i, p := range r.Proofs {
		table := fmt.Sprintf("proof[%d]", i)
		d.row(table, p.Row)
		d.text(table, "says", p.Says)
		d.rights(table+".rights", p.Rights)
		if p.Sensitivity != "" {
			d.oneOf(table+".sensitivity", p.Sensitivity, "low", "high")
		}
		for _, x := range p.Needs {
			d.oneOf(table+".needs", string(x), proofs...)
		}
		for _, x := range p.Or {
			d.oneOf(table+".or", string(x), proofs...)
		}
		for _, x := range p.Requesters {
			d.oneOf(table+".requesters", string(x), requesters...)
		}
		if p.Lesser != "" {
			d.rights(table+".lesser", []dsr.Right{p.Lesser})
		}
	}
}

func (r Regime) checkLists(d document) {
	for i, a := range r.Authorities {
		table := fmt.Sprintf("authority[%d]", i)
		d.row(table, a.Row)
		d.text(table, "name", a.Name, "contact", a.Contact)
		d.resident(table+".country", a.Country, r)
	}
	for i, a := range r.Ages {
		table := fmt.Sprintf("age[%d]", i)
		d.row(table, a.Row)
		d.resident(table+".country", a.Country, r)
		if a.Years < 10 || a.Years > 21 {
			d.fault(table+".years", "is %d; expected an age from 10 to 21", a.Years)
		}
	}
	for i, g := range r.Grounds {
		table := fmt.Sprintf("ground[%d]", i)
		d.row(table, g.Row)
		d.text(table, "says", g.Says)
		d.oneOf(table+".kind", g.Kind, groundKinds...)
		for _, j := range g.Jurisdictions {
			if j != "EU" && !placeForm(dsr.Place(j)) {
				d.fault(table+".jurisdictions", "%q is not a country; expected two capital letters (ISO 3166-1), or EU", j)
			}
		}
	}
	for i, k := range r.Keeps {
		table := fmt.Sprintf("keep[%d]", i)
		d.row(table, k.Row)
		d.text(table, "jurisdiction", k.Jurisdiction, "from", k.From, "says", k.Says)
		if k.Years < 1 {
			d.fault(table+".years", "is %d; expected how many years the duty reaches", k.Years)
		}
		if _, ok := r.LegalGround("legal_obligation", k.Jurisdiction); !ok {
			d.fault(table+".jurisdiction", "a duty under the law of %s blocks nothing here; expected one that a [[ground]] of kind legal_obligation names", k.Jurisdiction)
		}
	}
	for i, p := range r.Proposals {
		table := fmt.Sprintf("proposal[%d]", i)
		d.text(table, "id", p.ID, "cite", p.Cite, "says", p.Says)
		d.date(table+".proposed", p.Proposed)
	}
}

// span is a row with what tells it from others of the same id.
type span struct {
	table string
	row   Row
}

// checkSpans reports rows of one id that overlap, and days between two of them
// on which none is law.
func (r Regime) checkSpans(d document) {
	groups := map[string][]span{}
	add := func(kind string, i int, row Row, apart string) {
		key := kind + " " + row.ID + " " + apart
		groups[key] = append(groups[key], span{fmt.Sprintf("%s[%d]", kind, i), row})
	}
	for i, x := range r.Clocks {
		add("clock", i, x.Row, "")
	}
	for i, x := range r.Rules {
		add("rule", i, x.Row, fmt.Sprint(x.Places))
	}
	for i, x := range r.Duties {
		add("duty", i, x.Row, fmt.Sprint(x.Places))
	}
	for i, x := range r.Proofs {
		add("proof", i, x.Row, "")
	}
	for i, x := range r.Grounds {
		add("ground", i, x.Row, "")
	}
	for i, x := range r.Keeps {
		add("keep", i, x.Row, "")
	}
	for i, x := range r.Ages {
		add("age", i, x.Row, string(x.Country))
	}
	for i, x := range r.Authorities {
		add("authority", i, x.Row, string(x.Country))
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		rows := groups[key]
		slices.SortStableFunc(rows, func(a, b span) int { return strings.Compare(a.row.ValidFrom, b.row.ValidFrom) })
		for i := 1; i < len(rows); i++ {
			before, after := rows[i-1], rows[i]
			last, err := time.Parse(time.DateOnly, before.row.ValidTo)
			if err != nil && before.row.ValidTo != "" {
				continue // reported already
			}
			want := last.AddDate(0, 0, 1).Format(time.DateOnly)
			switch {
			case before.row.ValidTo == "" || after.row.ValidFrom < want:
				d.fault(after.table+".valid_from", "%s overlaps the row of %s before it, which ends %s; expected rows that follow each other",
					after.row.ValidFrom, after.row.ID, orOpen(before.row.ValidTo))
			case after.row.ValidFrom > want:
				d.fault(after.table+".valid_from", "%s leaves a gap after the row of %s before it; expected %s", after.row.ValidFrom, after.row.ID, want)
			}
		}
	}
}

func orOpen(day string) string {
	if day == "" {
		return "never"
	}
	return "on " + day
}

// rights reports rights that are not known and those that are there twice.
func (d document) rights(key string, rights []dsr.Right) {
	for i, right := range rights {
		if _, err := dsr.ParseRight(string(right)); err != nil {
			d.fault(key, "%v", err)
		} else if slices.Contains(rights[:i], right) {
			d.fault(key, "%q is there twice", right)
		}
	}
}

// resident reports a place that the regime does not protect.
func (d document) resident(key string, place dsr.Place, r Regime) {
	if !slices.Contains(r.Residents, place) {
		d.fault(key, "%q is none of the regime's residents; expected one of them", place)
	}
}

// placeForm reports whether a place is an ISO 3166-1 country or a state of one.
func placeForm(p dsr.Place) bool {
	if !country.MatchString(string(p)) {
		return false
	}
	region, err := language.ParseRegion(p.Country())
	return err == nil && region.IsCountry() && region.String() == p.Country()
}
