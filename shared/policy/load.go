package policy

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	_ "time/tzdata" // zones are the pack's data, and a Lambda has no zone files
)

//go:embed regimes companies
var files embed.FS

// policyFile is companies/<id>/policy.toml.
type policyFile struct {
	ID              string            `toml:"id"`
	Name            string            `toml:"name"`
	Updated         string            `toml:"updated"`
	Zone            string            `toml:"zone"`
	Calendar        string            `toml:"calendar"`
	MarginDays      int               `toml:"margin_days"`
	Transfers       string            `toml:"transfers"`
	Controller      Controller        `toml:"controller"`
	Contacts        Contacts          `toml:"contacts"`
	Records         Records           `toml:"records"`
	Documents       []Document        `toml:"document"`
	Representatives []Representative  `toml:"representative"`
	Channels        []Channel         `toml:"channel"`
	Roles           []Role            `toml:"role"`
	Promises        []Promise         `toml:"promise"`
	Requests        []Request         `toml:"request"`
	Minors          []Minor           `toml:"minor"`
	Sales           []Sale            `toml:"sale"`
	Marketing       []Marketing       `toml:"marketing"`
	Breaches        []Breach          `toml:"breach"`
	Changes         []ChangeNotice    `toml:"change_notice"`
	Says            []Say             `toml:"say"`
	Asks            []Ask             `toml:"ask"`
	Routes          []Route           `toml:"route"`
	Assignees       map[string]string `toml:"assignees"`
	Categories      []Category        `toml:"category"`
	Grounds         []Ground          `toml:"ground"`
	Decisions       []Decision        `toml:"needs_controller_decision"`
}

// systemsFile is companies/<id>/systems.toml.
type systemsFile struct {
	Systems []systemRow `toml:"system"`
}

type systemRow struct {
	ID             string            `toml:"id"`
	Name           string            `toml:"name"`
	Connector      string            `toml:"connector"`
	Categories     []string          `toml:"categories"`
	Source         string            `toml:"source"`
	Recipients     []string          `toml:"recipients"`
	Assignee       string            `toml:"assignee"`
	Instruction    string            `toml:"instruction"`
	SystemOfRecord bool              `toml:"system_of_record"`
	DependsOn      []string          `toml:"depends_on"`
	MaxParallel    int               `toml:"max_parallel"`
	VPC            *VPC              `toml:"vpc"`
	Config         map[string]string `toml:"config"`
	Mapping        map[string]any    `toml:"mapping"` // the connector decodes it strictly, from Raw
	Unsearchable   string            `toml:"unsearchable"`
	Fact
}

// recipientsFile is companies/<id>/recipients.toml.
type recipientsFile struct {
	Recipients []Recipient `toml:"recipient"`
}

// customersFile is companies/<id>/customers.toml.
type customersFile struct {
	Customers []Customer `toml:"customer"`
}

// Companies lists the embedded packs.
func Companies() []string {
	dirs, err := fs.ReadDir(files, "companies")
	if err != nil {
		return nil
	}
	var ids []string
	for _, d := range dirs {
		if d.IsDir() {
			ids = append(ids, d.Name())
		}
	}
	return ids
}

// Load reads an embedded company.
func Load(company string) (*Company, error) { return LoadFS(files, company) }

// LoadFS reads companies/<company>/{policy,systems,recipients,customers}.toml from fsys; the law is
// always the embedded one. An error of the files is Problems: each names file,
// line and key.
func LoadFS(fsys fs.FS, company string) (*Company, error) {
	if !word.MatchString(company) {
		return nil, fmt.Errorf("loading company %q: its id must be lower-case letters, digits and hyphens", company)
	}
	var problems Problems
	law := embeddedLaw()
	if len(law.problems) > 0 {
		return nil, law.problems
	}
	c := &Company{regimes: law.regimes, countries: law.countries, fallback: law.fallback, cited: map[Cite]string{}}

	var pf policyFile
	name := path.Join("companies", company, "policy.toml")
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("loading company %s: %s: %w", company, name, errors.Unwrap(err))
	}
	doc := read(name, data, &pf, &problems)
	if doc.broken {
		return nil, problems
	}
	c.takePolicy(company, pf, doc)

	var sf systemsFile
	name = path.Join("companies", company, "systems.toml")
	data, err = fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("loading company %s: %s: %w", company, name, errors.Unwrap(err))
	}
	doc = read(name, data, &sf, &problems)
	if doc.broken {
		return nil, problems
	}
	c.takeSystems(sf, part(data, "system", "mapping"), doc)

	systems := doc

	var rf recipientsFile
	var kf customersFile
	for _, more := range []struct {
		name string
		into any
		take func(document)
	}{
		{"recipients.toml", &rf, func(d document) { c.takeRecipients(rf, d) }},
		{"customers.toml", &kf, func(d document) { c.takeCustomers(kf, d) }},
	} {
		name := path.Join("companies", company, more.name)
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("loading company %s: %s: %w", company, name, errors.Unwrap(err))
		}
		if doc := read(name, data, more.into, &problems); !doc.broken {
			more.take(doc)
		}
	}

	if len(problems) == 0 {
		c.tryOrders(systems)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}
