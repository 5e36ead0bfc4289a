package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// company is a random content of the learning database, with a model of what
// a copy for Ada holds and what an erasure leaves of the shared rows.
type company struct {
	sql    strings.Builder
	mine   map[int]bool // account → it is Ada's
	copied int          // rows of a copy
	groups []string     // study groups after an erasure
}

func (c *company) insert(owned bool, table, values string, args ...any) {
	fmt.Fprintf(&c.sql, "INSERT INTO %s OVERRIDING SYSTEM VALUE VALUES (%s);\n", table, fmt.Sprintf(values, args...))
	if owned {
		c.copied++
	}
}

// hers is how Ada's address may stand in a column; others are not hers.
func addresses() (hers, others []string) {
	ada := dsrtest.Ada.Email
	hers = []string{ada, strings.Replace(ada, "learner.example", "LEARNER.Example", 1), "\u00a0" + ada + "\t"}
	others = []string{dsrtest.AdaUpper.Email, ada + ".", "x" + ada, "", ada + " ," + ada}
	for _, p := range dsrtest.LookAlikes() {
		others = append(others, p.Email)
	}
	return hers, others
}

func drawCompany(r *rapid.T) *company {
	c := &company{mine: map[int]bool{}}
	c.sql.WriteString("DELETE FROM study_groups; DELETE FROM newsletter; DELETE FROM payments; DELETE FROM answers; DELETE FROM course_progress; DELETE FROM accounts;\n")
	hers, others := addresses()
	emails := rapid.Permutation(append(slices.Clone(hers), others...)).Draw(r, "emails")
	emails = emails[:rapid.IntRange(1, len(emails)).Draw(r, "people")]
	for i, email := range emails {
		id := i + 1
		c.mine[id] = slices.Contains(hers, email)
		c.insert(c.mine[id], "accounts", "%d, nullif('%s', ''), 'n%d', 'p%d'", id, email, id, id)
		if email != "" && rapid.Bool().Draw(r, "subscribed") {
			c.insert(c.mine[id], "newsletter", "'%s', 'c'", email)
		}
	}
	person := rapid.IntRange(1, len(emails))
	courses := rapid.SliceOfN(person, 0, 6).Draw(r, "courses")
	for i, id := range courses {
		c.insert(c.mine[id], "course_progress", "%d, %d, 'c', 1", i+1, id)
		for n := range rapid.IntRange(0, 2).Draw(r, "answers") {
			c.insert(c.mine[id], "answers", "%d, %d, 'b'", 10*i+n, i+1)
		}
	}
	for i, id := range rapid.SliceOfN(person, 0, 4).Draw(r, "payments") {
		c.insert(c.mine[id], "payments", "%d, %d, 100, 'n'", i+1, id)
	}
	member := rapid.IntRange(0, len(emails)) // 0: nobody
	for n := range rapid.IntRange(0, 6).Draw(r, "groups") {
		c.drawGroup(n+1, member.Draw(r, "owner"), member.Draw(r, "partner"))
	}
	return c
}

// drawGroup adds a study group and says what an erasure makes of it.
func (c *company) drawGroup(id, owner, partner int) {
	text := func(p int) string {
		if p == 0 {
			return ""
		}
		return fmt.Sprint(p)
	}
	c.insert(c.mine[owner] || c.mine[partner], "study_groups", "%d, 't', nullif(%d, 0), nullif(%d, 0), 'o', 'p'", id, owner, partner)
	switch {
	case !c.mine[owner] && !c.mine[partner]:
		c.groups = append(c.groups, fmt.Sprintf("(%d,t,%s,%s,o,p)", id, text(owner), text(partner)))
	case c.mine[owner] && partner != 0 && !c.mine[partner]:
		c.groups = append(c.groups, fmt.Sprintf("(%d,t,,%d,,p)", id, partner))
	case c.mine[partner] && owner != 0 && !c.mine[owner]:
		c.groups = append(c.groups, fmt.Sprintf("(%d,t,%d,,o,)", id, owner))
	}
}

// TestRandomCompanies erases Ada from random companies and compares every row
// with the model: what was there without Ada's, nothing of Ada's, everybody
// else's byte for byte.
func TestRandomCompanies(t *testing.T) {
	dsn, conn := database(t, learning)
	driver := driver(t, dsn, learningMapping)
	companies := rapid.Custom(drawCompany)
	for seed := range 40 {
		c := companies.Example(seed)
		exec(t, conn, c.sql.String())
		ids := []string{"0"}
		for id, mine := range c.mine {
			if mine {
				ids = append(ids, fmt.Sprint(id))
			}
		}
		in := "IN (" + strings.Join(ids, ",") + ")"
		left := map[string]string{ // table → what stays of it as it is
			"accounts WHERE id NOT " + in: "SELECT * FROM accounts WHERE id NOT " + in,
			"course_progress":             "SELECT * FROM course_progress WHERE account_id NOT " + in,
			"answers":                     "SELECT * FROM answers WHERE progress_id IN (SELECT id FROM course_progress WHERE account_id NOT " + in + ")",
			"payments":                    "SELECT * FROM payments",
			"newsletter":                  "SELECT * FROM newsletter WHERE email IN (SELECT email FROM accounts WHERE id NOT " + in + ")",
		}
		want := map[string][]string{}
		for table, sql := range left {
			want[table] = rows(t, conn, sql)
		}
		s := &sink{}
		export(t, driver, found(t, driver, dsrtest.Ada), s, never)
		equal(t, "rows copied", len(s.lines), c.copied)
		erase(t, driver, dsrtest.Ada)
		for table := range left {
			equalRows(t, table, rows(t, conn, "SELECT * FROM "+table), want[table])
		}
		equal(t, "accounts emptied", number(t, conn, "SELECT count(*) FROM accounts WHERE id "+in+" AND coalesce(email, name, phone) IS NULL"), len(ids)-1)
		equalRows(t, "study groups", rows(t, conn, "SELECT id, title, owner_id, partner_id, owner_note, partner_note FROM study_groups"), c.groups)
		if t.Failed() {
			t.Fatalf("the company of seed %d shows it", seed)
		}
	}
}
