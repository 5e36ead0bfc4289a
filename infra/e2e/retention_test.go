//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/machine"
)

// Nobody asks, and still: three years after an account was closed it is emptied,
// and after two silent years the newsletter forgets its reader, each without
// what else there is of the person. Who closed it a little later keeps
// everything, and nobody gets a mail.
func TestWhatHasExpiredIsDisposedOf(t *testing.T) {
	t.Parallel()
	gone := suite.Enrol(t, Someone("gonelong"), Holdings{Courses: 1, Payments: 2, Newsletter: true})
	silent := suite.Enrol(t, Someone("silent"), Holdings{Courses: 1, Newsletter: true})
	late := suite.Enrol(t, Someone("closedlate"), Holdings{Courses: 1, Newsletter: true})
	now := time.Now().UTC()
	suite.SQL(t, `UPDATE accounts SET closed_at = $1 WHERE id = $2`, now.AddDate(-3, 0, -2), gone.Account)
	suite.SQL(t, `UPDATE accounts SET closed_at = $1 WHERE id = $2`, now.AddDate(-3, 0, 2), late.Account)
	suite.SQL(t, `UPDATE newsletter SET active_at = $1 WHERE email = $2`, now.AddDate(-2, 0, -2), silent.Email)
	untouched := Untouched(t, late)

	// The day's own run may have been before: under another name it lists again.
	retention := machine.New(suite.Config, suite.Outputs["RetentionArn"], time.Now)
	name := "retention-test-" + string(ledger.NewRequestID())
	input := map[string]any{"v": 1, "day": now.Format(time.DateOnly), "systems": []any{map[string]any{"system": "app"}}}
	for range 2 { // the second finds the first
		if err := retention.Start(t.Context(), name, input); err != nil {
			t.Fatal(err)
		}
	}
	Look(t, "the listing", func(ctx context.Context) (machine.Execution, error) {
		return retention.Describe(ctx, retention.ExecutionARN(name))
	}, func(e machine.Execution) bool { return e.Status == machine.Succeeded })
	suite.Sweep(t)

	for _, c := range []struct {
		what, query string
		of          *Learner
		want        string
	}{
		{"the closed account", `SELECT (email IS NULL AND name IS NULL)::text FROM accounts WHERE id = $1`, gone, "true"},
		{"the silent reader", `SELECT count(*)::text FROM newsletter n JOIN (SELECT $1::bigint) x ON TRUE WHERE n.email = (SELECT email FROM accounts WHERE id = $1)`, silent, "0"},
	} {
		Look(t, c.what, func(context.Context) (string, error) {
			rows := suite.SQL(t, c.query, c.of.Account)
			if len(rows) != 1 {
				return "", nil
			}
			return rows[0], nil
		}, func(got string) bool { return got == c.want })
	}
	for what, query := range map[string]string{
		"payments of the closed account": `SELECT (count(*) = 2)::text FROM payments WHERE account_id = $1`,
		"its progress":                   `SELECT (count(*) = 1)::text FROM course_progress WHERE account_id = $1`,
	} {
		if rows := suite.SQL(t, query, gone.Account); len(rows) != 1 || rows[0] != "true" {
			t.Errorf("%s went too", what)
		}
	}
	if rows := suite.SQL(t, `SELECT email FROM accounts WHERE id = $1`, silent.Account); len(rows) != 1 || rows[0] != silent.Email {
		t.Error("the silent reader's account went too")
	}
	untouched()
	for _, l := range []*Learner{gone, silent, late} {
		if n := len(l.Letters(t)); n != 0 {
			t.Errorf("a person who asked nothing got %d mails", n)
		}
	}
}
