package intake

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// entry is what a person typed: the form page shows it again when something
// must be mended.
type entry struct {
	Email, Name, Message string
	Country, State, Plan string
	Rights               []string
	By, For, Permission  string
	Declared, Reach, Age string
	From, To, Reference  string
	Asks                 []string // "key=choice"
	Corrections, Points  []Field
}

func read(f url.Values) entry {
	get := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	e := entry{
		Email: get("email"), Name: get("name"), Message: get("message"), Country: get("country"), State: get("state"), Plan: get("plan"),
		Rights: f["rights"], By: get("by"), For: get("for"), Permission: get("permission"), Declared: get("declared"), Reach: get("reach"),
		Age: get("age"), From: get("from"), To: get("to"), Reference: get("reference"), Corrections: corrections(), Points: points(),
	}
	for _, ask := range f["ask"] {
		if ask != "" {
			e.Asks = append(e.Asks, ask)
		}
	}
	for _, fields := range [][]Field{e.Corrections, e.Points} {
		for i := range fields {
			fields[i].Value = get(fields[i].ID)
		}
	}
	return e
}

// Has reports whether a right is ticked.
func (e entry) Has(right dsr.Right) bool { return slices.Contains(e.Rights, string(right)) }

// Any reports whether one of the choices is ticked, so that what is folded away
// is open when it matters.
func (e entry) Any(choices []Choice) bool {
	return slices.ContainsFunc(choices, func(k Choice) bool { return e.Has(k.Right) })
}

// Asked reports whether a question was answered so.
func (e entry) Asked(answer string) bool { return slices.Contains(e.Asks, answer) }

// Typed is what stands in a correction or a point.
func (e entry) Typed(id string) string {
	for _, f := range slices.Concat(e.Corrections, e.Points) {
		if f.ID == id {
			return f.Value
		}
	}
	return ""
}

// Correcting reports whether something is to be put right.
func (e entry) Correcting() bool { return e.Has(dsr.Rectification) || filled(e.Corrections) }

// Standing reports whether somebody asks for another, or from elsewhere.
func (e entry) Standing() bool { return e.By+e.For+e.Permission+e.Reach+e.Age != "" }

// Proving reports whether facts or a signature were given.
func (e entry) Proving() bool { return e.Declared != "" || filled(e.Points) }

func filled(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Value != "" })
}

// wish is an entry that was understood.
type wish struct {
	email      string // of who asks, in its normal form
	other      bool   // "something else, or not sure"
	rights     []dsr.Right
	by         dsr.Requester // "" for the person
	whom       string        // the person's address, where somebody else asks
	reach      string
	place      dsr.Place
	country    string
	state      string
	facts      map[string]string
	reference  dsr.RequestID
	changes    []dsr.Change
	points     []dsr.Point
	plan, from string
	to         string
	message    string
	name       string
	declared   string
	permission string
}

// The longest texts that are taken, in characters.
const (
	maxName       = 200
	maxMessage    = 4000
	maxPermission = 2000
	maxValue      = 300
)

// check reads an entry; each problem names its field.
type check struct {
	s        *Stage
	e        entry
	w        wish
	today    time.Time
	problems []web.Problem
}

func (c *check) add(field, text string) {
	if !slices.ContainsFunc(c.problems, func(p web.Problem) bool { return p.Field == field }) {
		c.problems = append(c.problems, web.Problem{Field: field, Text: text})
	}
}

// understand reads the entry. What is odd about it is explained next to its
// field; nothing is refused because no rule knows it: "something else" and
// "not sure" are always taken.
func (s *Stage) understand(e entry, today time.Time) (wish, []web.Problem) {
	c := &check{s: s, e: e, today: today, w: wish{message: e.Message, name: e.Name, declared: e.Declared, permission: e.Permission, facts: map[string]string{}}}
	c.w.email = c.address("email", e.Email, "Enter your mail address, for example name@example.org.")
	c.rights() // and on in the order of the page
	c.fields()
	c.place()
	c.plan()
	c.person()
	c.period()
	c.lengths()
	slices.Sort(c.w.rights)
	return c.w, c.problems
}

// address reads a mail address that mail can be sent to.
func (c *check) address(field, typed, missing string) string {
	address, err := dsr.ParseAddress(typed)
	switch {
	case err != nil:
		c.add(field, missing)
		return ""
	case !mailable(address):
		c.add(field, "We cannot send mail to this address; enter one with plain letters before the @, or write to us.")
		return ""
	}
	return address.String()
}

// mailable reports whether the mail service can send to the address: its part
// before the @ is ASCII, and it is no longer than an address may be once its
// domain is written in ASCII.
func mailable(a dsr.Address) bool {
	_, err := dsr.ParseAddress(a.String())
	return err == nil && !strings.ContainsFunc(a.Local, func(r rune) bool { return r > unicode.MaxASCII })
}

// other is the box for what no right names.
const other = "other"

func (c *check) rights() {
	for _, v := range c.e.Rights {
		if v == other {
			c.w.other = true
			continue
		}
		right, err := dsr.ParseRight(v)
		if err != nil {
			c.add("rights", "Choose from the list what you ask for.")
			return
		}
		if !slices.Contains(c.w.rights, right) {
			c.w.rights = append(c.w.rights, right)
		}
	}
	if len(c.e.Rights) == 0 && c.e.By != string(dsr.Reporter) {
		c.add("rights", "Choose what you ask for. If you are not sure, choose the last box.")
	}
	if c.w.other && c.e.Message == "" {
		c.add("message", "Tell us in your own words what you ask for.")
	}
	if slices.Contains(c.w.rights, dsr.OptIn) && dsr.Wants(c.w.rights, dsr.ByStop) {
		c.add("rights", "You ask to stop something and to allow it again; choose one of the two.")
	}
	if reference := c.e.Reference; reference != "" {
		id, err := dsr.ParseRequestID(strings.ToLower(reference))
		if err != nil {
			c.add("reference", "This is not a reference of ours: it starts with w and has 26 letters and digits. Leave it empty if you cannot find it.")
		}
		c.w.reference = id
	}
}

// requesters are who may ask, in the order of the form.
var requesters = []dsr.Requester{dsr.Agent, dsr.Attorney, dsr.Parent, dsr.School, dsr.Successor, dsr.Reporter, dsr.Unmailable}

// person reads for whom somebody asks.
func (c *check) person() {
	if c.e.By != "" && c.e.By != string(dsr.Self) {
		c.w.by = dsr.Requester(c.e.By)
		if !slices.Contains(requesters, c.w.by) {
			c.add("by", "Choose from the list who you are.")
			return
		}
	}
	if slices.Contains(c.w.rights, dsr.ChildReport) && c.w.by == "" {
		c.w.by = dsr.Reporter
	}
	if c.e.For != "" {
		c.w.whom = c.address("for", c.e.For, "Enter the mail address of the person you ask for, or leave it empty.")
	}
	if c.w.whom != "" && dsr.CompareAddress(c.w.whom, c.w.email) != dsr.Different {
		c.add("for", "This is your own address; enter the one of the person you ask for.")
	}
	switch c.w.by {
	case "":
		if c.e.For != "" || c.e.Permission != "" {
			c.add("by", "Say who you are to the person you ask for, or empty the fields below.")
		}
		if c.e.Reach != "" {
			c.add("by", "Choose that you no longer have the address, or empty the field for another address.")
		}
	case dsr.Reporter:
		if slices.ContainsFunc(c.w.rights, func(r dsr.Right) bool { return r != dsr.ChildReport }) {
			c.add("rights", "A report about a child is sent by itself: we may tell you nothing about the child. For your own data send the form once more.")
		}
		c.w.rights = []dsr.Right{dsr.ChildReport}
		if c.e.Message == "" {
			c.add("message", "Tell us what you know: who the child is and where you saw the data.")
		}
	case dsr.Unmailable:
		c.w.reach = c.address("reach", c.e.Reach, "Enter another mail address at which we can reach you.")
		if c.w.reach != "" && c.w.reach == c.w.email {
			c.add("reach", "This is the address that you no longer have; enter another one.")
		}
	default:
		c.standsFor()
	}
	c.age()
}

// standsFor reads what somebody must say who asks in another's name.
func (c *check) standsFor() {
	if c.e.For == "" && c.w.by != dsr.Parent {
		c.add("for", "Enter the mail address of the person you ask for, as the company knows it.")
	}
	if c.e.Permission == "" {
		c.add("permission", "Tell us what lets you ask for this person. Send us no papers; we ask if we need one.")
	}
	if c.e.Declared == "" {
		c.add("declared", "Type your full name to declare that this is true.")
	}
}

func (c *check) age() {
	if c.e.Age == "" {
		return
	}
	n, err := strconv.Atoi(c.e.Age)
	if err != nil || n < 0 || n > 130 {
		c.add("age", "Enter the age in years, for example 12, or leave it empty.")
		return
	}
	c.w.facts[policy.FactAge] = strconv.Itoa(n)
}

func (c *check) place() {
	e := c.e
	if e.Country != "" && !slices.ContainsFunc(c.s.countries, func(k Country) bool { return k.Code == e.Country }) {
		c.add("country", "Choose a country from the list, or \"Other or not sure\".")
	}
	if e.State != "" && !slices.ContainsFunc(c.s.states, func(k Country) bool { return k.Code == e.State }) {
		c.add("state", "Choose a state from the list, or \"Other or not sure\".")
	}
	if e.State != "" && e.Country == "" {
		e.Country = "US" // who names a state of it lives there
	}
	if e.State != "" && e.Country != "US" {
		c.add("state", "A state is only needed for the United States; choose \"Other or not sure\" here, or the United States above.")
	}
	c.w.country, c.w.state, c.w.place = e.Country, e.State, dsr.PlaceOf(e.Country, e.State)
}

func (c *check) plan() {
	if c.e.Plan != "" && !slices.Contains(c.s.plans, c.e.Plan) {
		c.add("plan", "Choose from the list, or \"Not sure\".")
	}
	c.w.plan = c.e.Plan
	for _, answer := range c.e.Asks {
		key, choice, _ := strings.Cut(answer, "=")
		i := slices.IndexFunc(c.s.Company.Asks, func(a policy.Ask) bool { return a.Answer == key })
		if i < 0 || !slices.Contains(c.s.Company.Asks[i].Choices, choice) {
			c.add("asks", "Choose one of the answers, or leave the question open.")
			continue
		}
		c.w.facts[key] = choice
	}
}

// period reads the time asked about. Only its form is checked: what is held is
// looked up after the proof.
func (c *check) period() {
	day := func(field, typed string) time.Time {
		if typed == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.DateOnly, typed)
		switch {
		case err != nil:
			c.add(field, "Write the day as year, month and day: 2024-03-31.")
		case t.After(c.today):
			c.add(field, "This day has not come yet.")
		}
		return t
	}
	from, to := day("from", c.e.From), day("to", c.e.To)
	if !from.IsZero() && !to.IsZero() && to.Before(from) {
		c.add("to", "The last day is before the first; turn the two around.")
	}
	earliest, law := "", c.s.Company.Regime(c.w.place)
	for _, right := range c.w.rights {
		for _, duty := range law.DutiesOf(right, c.today) {
			earliest = max(earliest, duty.LookBack)
		}
	}
	if first, err := time.Parse(time.DateOnly, earliest); err == nil && !from.IsZero() && from.Before(first) {
		c.add("from", "The law where you live lets you ask back to "+first.Format("2 January 2006")+". Leave the field empty to get all that we hold.")
	}
	c.w.from, c.w.to = c.e.From, c.e.To
}

func (c *check) fields() {
	for _, f := range c.e.Corrections {
		if f.Value == "" {
			continue
		}
		if f.Word == "email" {
			f.Value = c.address(f.ID, f.Value, "Enter the right mail address, for example name@example.org.")
		}
		c.w.changes = append(c.w.changes, dsr.Change{Field: f.Word, New: f.Value})
	}
	wants := slices.Contains(c.w.rights, dsr.Rectification)
	switch {
	case wants && len(c.w.changes) == 0 && c.e.Message == "":
		c.add("corrections", "Say what should be put right: fill in the fields that are wrong, or tell us in your own words below.")
	case !wants && len(c.w.changes) > 0:
		c.add("rights", "You filled in what to put right: tick \""+c.s.name(dsr.Rectification)+"\" too, or empty those fields.")
	}
	for _, f := range c.e.Points {
		if f.Value != "" {
			c.w.points = append(c.w.points, dsr.Point{Field: f.Word, Value: f.Value})
		}
	}
}

func (c *check) lengths() {
	limit := func(field, value string, most int) {
		if utf8.RuneCountInString(value) > most {
			c.add(field, fmt.Sprintf("Shorten this to %d characters.", most))
		}
	}
	limit("name", c.e.Name, maxName)
	limit("declared", c.e.Declared, maxName)
	limit("message", c.e.Message, maxMessage)
	limit("permission", c.e.Permission, maxPermission)
	for _, f := range slices.Concat(c.e.Corrections, c.e.Points) {
		limit(f.ID, f.Value, maxValue)
	}
}
