package policy

import (
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Manual is the connector of a system that only a person can reach.
const Manual = "manual"

// Company is one controller's pack: who it is, what it promised, which data it
// holds, in which systems, and on which grounds it keeps some.
type Company struct {
	ID              string
	Name            string
	Updated         string // date of the policy text the pack was written from, 2006-01-02
	Controller      Controller
	Contacts        Contacts
	Zone            *time.Location // the controller's zone: local dates are counted in it
	Calendar        string         // whose public holidays count: a code of holidays.toml, or "" for none
	MarginDays      int            // open work this near to the due date becomes a partial answer
	Documents       []Document
	Representatives []Representative
	Channels        []Channel
	Roles           []Role
	Promises        []Promise
	Requests        []Request
	Minors          []Minor
	Sales           []Sale
	Marketing       []Marketing
	Breaches        []Breach
	Changes         []ChangeNotice
	Says            []Say
	Asks            []Ask
	Routes          []Route
	Receivers       []Recipient
	Customers       []Customer
	Records         Records
	Categories      []Category
	Systems         []System
	Grounds         []Ground
	Transfers       string // how data that leaves the person's country is protected, plain words
	Assignees       map[string]string
	Decisions       []Decision // what the policy text leaves open
	regimes         map[string]Regime
	countries       map[dsr.Place]string // place → id of the regime
	fallback        string               // id of the regime for a country that is unknown or not said
	systemsFile     document             // for faults found after loading
	evidence        []FactRow            // every row that rests on the company's text
	cited           map[Cite]string      // phrase → row that cites it
}

// Controller is the company in the sense of GDPR Art. 4(7).
type Controller struct {
	Name          string `toml:"name"`
	Country       string `toml:"country"`
	EstablishedIn string `toml:"established_in"` // eea, uk, ch, us, br or other: whose public holidays and duties apply
	Post          string `toml:"post"`
	Fact
}

// Contacts is whom a person turns to.
type Contacts struct {
	Officer  string `toml:"officer"` // role or name, as the policy gives it
	Mail     string `toml:"mail"`
	Phone    string `toml:"phone"`
	Post     string `toml:"post"`
	Complain string `toml:"complain"` // how to complain to the company itself; the authority is the regime's
	Fact
}

// Cite is a phrase of at most 12 words found in a document of the company.
type Cite struct {
	Document string `toml:"document" json:"document"`
	Phrase   string `toml:"phrase" json:"phrase"`
}

// Category is one kind of data, said so that the person understands it
// (GDPR Art. 15(1)).
type Category struct {
	ID        string   `toml:"id"`
	Name      string   `toml:"name"`
	Why       string   `toml:"why"`       // purpose
	Basis     string   `toml:"basis"`     // legal basis in plain words
	Retention string   `toml:"retention"` // period
	Source    string   `toml:"source"`    // where the data came from
	OnErasure string   `toml:"on_erasure"`
	Bases     []string `toml:"bases"`     // consent, contract, legitimate_interest, legal_obligation: what portability and objection reach
	Provided  bool     `toml:"provided"`  // by the person, so that portability reaches it
	Sensitive bool     `toml:"sensitive"` // raises the proof; what the limit right reaches
	Forbidden bool     `toml:"forbidden"` // never leaves, whoever asks: card numbers, CVV, passwords
	// What it is used for that a person can stop: marketing, sale, targeted_ads,
	// profiling. What consent and a legitimate interest carry is in Bases.
	Purposes []dsr.Purpose `toml:"purposes"`
	Retain   Retain        `toml:"retain"`
	Fact
}

// What an erasure does to a category. KeepIt needs a ground.
const (
	EraseIt     = "erase"
	AnonymiseIt = "anonymise"
	KeepIt      = "keep"
)

// System is the company's instance of a connector.
type System struct {
	ID             string   // kebab-free word, part of function names
	Name           string   // plain words for the person
	Connector      string   // code of the connector, or Manual
	Categories     []string // ids of the categories it holds
	Source         string   // where its data come from, plain words
	Unsearchable   string   // why a person cannot be found there (GDPR Art. 11), plain words; "" where they can
	Fact           Fact
	Recipients     []string          // who receives the data by name (GDPR Art. 15(1)(c))
	Assignee       string            // role for people's tasks
	Instruction    string            // what a person looks for, plain words
	SystemOfRecord bool              // gathers first, acts last
	DependsOn      []string          // systems it needs identifiers of: they gather before it and act after it
	MaxParallel    int               // reserved concurrency; 0 for none
	VPC            *VPC              // set for a system inside a private network
	Settings       map[string]string // the connector's [config]
	Raw            []byte            // TOML of the connector's own mapping; its line numbers are those of systems.toml
	Line           int               // where its table starts in systems.toml
}

// VPC is where a function must run to reach a system.
type VPC struct {
	ID             string   `toml:"id"`
	Subnets        []string `toml:"subnets"`
	SecurityGroups []string `toml:"security_groups"`
}

// Decision is a question the policy text leaves open, with what Writ does until
// the controller decides.
type Decision struct {
	ID         string   `toml:"id" json:"id"`
	Question   string   `toml:"question" json:"question"`
	Default    string   `toml:"safe_default" json:"safe_default"`
	Plain      string   `toml:"plain" json:"plain,omitempty"` // what the person is told of their data meanwhile; with Categories
	Categories []string `toml:"categories" json:"categories,omitempty"`
	Regimes    []string `toml:"regimes" json:"regimes,omitempty"` // with Categories; empty for every regime without a ground
}

// Manual reports whether only a person can reach the system.
func (s System) Manual() bool { return s.Connector == Manual }

// System returns the system with an id.
func (c *Company) System(id string) (System, bool) {
	i := slices.IndexFunc(c.Systems, func(s System) bool { return s.ID == id })
	if i < 0 {
		return System{}, false
	}
	return c.Systems[i], true
}

// Category returns the category with an id.
func (c *Company) Category(id string) (Category, bool) {
	i := slices.IndexFunc(c.Categories, func(k Category) bool { return k.ID == id })
	if i < 0 {
		return Category{}, false
	}
	return c.Categories[i], true
}

// Assignee returns the mail address of a role.
func (c *Company) Assignee(role string) (address string, ok bool) {
	address, ok = c.Assignees[role]
	return address, ok
}

// Recipients returns, in the pack's order and each once, everyone who receives
// data of a category.
func (c *Company) Recipients(category string) []string {
	var names []string
	for _, r := range c.Receivers {
		if slices.Contains(r.Categories, category) && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	for _, s := range c.Systems {
		if !slices.Contains(s.Categories, category) {
			continue
		}
		for _, r := range s.Recipients {
			if !slices.Contains(names, r) {
				names = append(names, r)
			}
		}
	}
	return names
}
