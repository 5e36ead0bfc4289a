package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/policy"
)

// verdict is what check found in one company's files.
type verdict struct {
	Company  string            `json:"company"`
	Systems  int               `json:"systems"`
	Problems policy.Problems   `json:"problems"`
	Open     []policy.Decision `json:"needs_controller_decision"`
	Recheck  []string          `json:"recheck"`       // rules that rest on general knowledge or a tracker
	Rows     int               `json:"rows"`          // rows that rest on the company's text
	Document int               `json:"documentation"` // of them, those that change nothing
}

func checkCommand() command {
	return command{
		name:    "check",
		summary: "check a company's files: every fault with file, line and key",
		setup: func(flags *flag.FlagSet) runner {
			company := flags.String("company", "", "id of the company; every company when empty")
			dir := flags.String("dir", "", "folder that holds companies/<id>/*.toml; the built-in files when empty")
			texts := flags.String("texts", "", "folder of the policy texts, to look up every phrase that a row cites; nothing is looked up when empty")
			return func(_ context.Context, c console, args []string) error {
				if len(args) > 0 {
					return usage("it takes no arguments")
				}
				return check(c, *company, *dir, *texts)
			}
		},
	}
}

func check(c console, company, dir, texts string) error {
	load, ids := policy.Load, policy.Companies()
	if dir != "" {
		files := os.DirFS(dir)
		load = func(id string) (*policy.Company, error) { return policy.LoadFS(files, id) }
		var err error
		if ids, err = folders(files); err != nil {
			return fmt.Errorf("reading %s: %w", dir, err)
		}
	}
	if company != "" {
		ids = []string{company}
	}
	descriptors, err := connectors.Descriptors()
	if err != nil {
		return err
	}
	var verdicts []verdict
	found := 0
	for _, id := range ids {
		v := verdict{Company: id, Problems: policy.Problems{}, Open: []policy.Decision{}, Recheck: []string{}}
		pack, err := load(id)
		if err == nil {
			v.Systems, v.Open, v.Recheck = len(pack.Systems), pack.Decisions, pack.Recheck()
			v.Rows, v.Document = len(pack.FactRows()), pack.Documentation()
			err = errors.Join(pack.CheckAgainst(connectors.Capabilities(descriptors)), checkMappings(pack))
			if texts != "" {
				err = errors.Join(err, pack.CheckTexts(os.DirFS(texts)))
			}
		}
		if v.Problems, err = problemsOf(err); err != nil {
			return err
		}
		found += len(v.Problems)
		verdicts = append(verdicts, v)
	}
	if err := c.print(verdicts, func(w io.Writer) error { return writeVerdicts(w, verdicts) }); err != nil {
		return err
	}
	if found > 0 {
		return fmt.Errorf("faults found: %d", found)
	}
	return nil
}

// folders lists the companies of a folder.
func folders(files fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(files, "companies")
	if err != nil {
		return nil, errors.New("it holds no folder companies")
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// problemsOf takes the faults of files out of an error; another error stays.
func problemsOf(err error) (policy.Problems, error) {
	found := policy.Problems{}
	if err == nil {
		return found, nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			ps, rest := problemsOf(e)
			if rest != nil {
				return nil, rest
			}
			found = append(found, ps...)
		}
		return found, nil
	}
	var ps policy.Problems
	if errors.As(err, &ps) {
		return ps, nil
	}
	return nil, err
}

// checkMappings reads each connector's own mapping as the connector will, and
// compares it with what the policy says of its categories.
func checkMappings(pack *policy.Company) error {
	var found policy.Problems
	for _, s := range pack.Systems {
		if category, ok := s.Settings["category"]; ok && !slices.Contains(s.Categories, category) {
			found = append(found, pack.Fault(s.ID, 0, "config.category", fmt.Sprintf("%q is not among the categories of the system", category)))
		}
		if s.Connector != "postgres" {
			if len(s.Raw) > 0 {
				found = append(found, pack.Fault(s.ID, 0, "mapping", "the connector "+s.Connector+" takes no mapping"))
			}
			continue
		}
		m, err := postgres.ParseMapping(s.Raw)
		if err != nil {
			found = append(found, mappingFault(pack, s, err))
			continue
		}
		mapped := map[string]bool{}
		for _, t := range m.Tables {
			mapped[t.Category] = true
			k, _ := pack.Category(t.Category)
			line := tableLine(s, t.Table)
			switch {
			case !slices.Contains(s.Categories, t.Category):
				found = append(found, pack.Fault(s.ID, line, "mapping.table."+t.Table+".category", fmt.Sprintf("%q is not among the categories of the system", t.Category)))
			case (t.Action == postgres.Keep) != (k.OnErasure == policy.KeepIt):
				found = append(found, pack.Fault(s.ID, line, "mapping.table."+t.Table+".action",
					fmt.Sprintf("is %s, but policy.toml says on_erasure = %q for %s", t.Action, k.OnErasure, t.Category)))
			}
		}
		for _, category := range s.Categories {
			if !mapped[category] {
				found = append(found, pack.Fault(s.ID, 0, "categories", fmt.Sprintf("no table of the mapping holds %q", category)))
			}
		}
	}
	if len(found) > 0 {
		return found
	}
	return nil
}

var (
	atLine  = regexp.MustCompile(`line (\d+): `)
	atTable = regexp.MustCompile(`table ([A-Za-z0-9_.]+)`)
)

// mappingFault finds the line of a mapping's fault: the connector names the
// line, which is the file's own, or the table.
func mappingFault(pack *policy.Company, s policy.System, err error) policy.Problem {
	line, key, says := s.Line, "mapping", strings.TrimPrefix(err.Error(), "reading the mapping: ")
	if m := atLine.FindStringSubmatch(says); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			line, says = n, strings.Replace(says, m[0], "", 1)
		}
	} else if m := atTable.FindStringSubmatch(says); m != nil {
		line, key = tableLine(s, m[1]), "mapping.table."+m[1]
	}
	return pack.Fault(s.ID, line, key, says)
}

// tableLine returns the line at which a table is mapped first.
func tableLine(s policy.System, table string) int {
	name := regexp.MustCompile(`^\s*table\s*=\s*["']` + regexp.QuoteMeta(table) + `["']`)
	for n, line := range strings.Split(string(s.Raw), "\n") {
		if name.MatchString(line) {
			return n + 1
		}
	}
	return s.Line
}

func writeVerdicts(w io.Writer, verdicts []verdict) error {
	var out strings.Builder
	law := common(verdicts)
	for _, v := range verdicts {
		for _, p := range v.Problems {
			fmt.Fprintln(&out, p.Error())
		}
		if len(v.Problems) > 0 {
			continue
		}
		fmt.Fprintf(&out, "%s: %d systems, %d rows of which %d are documentation only, no fault\n", v.Company, v.Systems, v.Rows, v.Document)
		for _, d := range v.Open {
			fmt.Fprintf(&out, "  to be decided: %s: %s\n    until then: %s\n", d.ID, d.Question, d.Default)
		}
		for _, r := range v.Recheck {
			if !slices.Contains(law, r) {
				fmt.Fprintf(&out, "  to be read again in the official text: %s\n", r)
			}
		}
	}
	if len(law) > 0 {
		fmt.Fprintf(&out, "the laws, for every company: %d rows to be read again in the official text\n", len(law))
	}
	for _, r := range law {
		fmt.Fprintf(&out, "  to be read again in the official text: %s\n", r)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// common is what several companies must all read again: the rules of law, which
// are told once.
func common(verdicts []verdict) []string {
	var checked []verdict
	for _, v := range verdicts {
		if len(v.Problems) == 0 {
			checked = append(checked, v)
		}
	}
	if len(checked) < 2 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(checked[0].Recheck), func(r string) bool {
		return slices.ContainsFunc(checked[1:], func(v verdict) bool { return !slices.Contains(v.Recheck, r) })
	})
}
