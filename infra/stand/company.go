package stand

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/ledger/dynamo"
)

// Ledger is the deployed stack's ledger, as the operator reads it.
func (s *Stand) Ledger() *dynamo.Store {
	return dynamo.New(dynamodb.NewFromConfig(s.Config), dynamo.Tables{
		Requests: s.Outputs["TableRequests"], Subjects: s.Outputs["TableSubjects"], Tasks: s.Outputs["TableTasks"],
		Events: s.Outputs["TableEvents"], Holds: s.Outputs["TableHolds"], Tokens: s.Outputs["TableTokens"],
		Suppression: s.Outputs["TableSuppression"],
	})
}

// ErrNoAccount says that the company's database knows no such address.
var ErrNoAccount = errors.New("the company's database has no account with this address")

// AccountOf is the account number of an address.
func (s *Stand) AccountOf(ctx context.Context, email string) (id int64, err error) {
	err = s.query(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT id FROM accounts WHERE email = $1`, email).Scan(&id)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrNoAccount
	}
	return id, err
}

// holdings counts the rows that name a person, by table. A study group counts
// for each of the two people who own it.
const holdings = `
SELECT 'accounts', count(*) FROM accounts WHERE id = $1 AND (email IS NOT NULL OR name IS NOT NULL OR phone IS NOT NULL OR stripe_customer IS NOT NULL)
UNION ALL SELECT 'course_progress', count(*) FROM course_progress WHERE account_id = $1
UNION ALL SELECT 'payments', count(*) FROM payments WHERE account_id = $1
UNION ALL SELECT 'newsletter', count(*) FROM newsletter WHERE email = $2
UNION ALL SELECT 'study_groups', count(*) FROM study_groups WHERE (owner_id = $1 AND owner_note IS NOT NULL) OR (partner_id = $1 AND partner_note IS NOT NULL)`

// Rows counts what the company's database holds about an account, by table.
func (s *Stand) Rows(ctx context.Context, account int64, email string) (map[string]int, error) {
	counts := map[string]int{}
	err := s.query(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, holdings, account, email)
		if err != nil {
			return err
		}
		var table string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error {
			counts[table] = n
			return nil
		})
		return err
	})
	return counts, err
}

// bystanders is every row, or part of a shared row, that is not the account's.
const bystanders = `
SELECT row_to_json(r)::text FROM accounts r WHERE id <> $1
UNION ALL SELECT row_to_json(r)::text FROM course_progress r WHERE account_id <> $1
UNION ALL SELECT row_to_json(r)::text FROM payments r WHERE account_id <> $1
UNION ALL SELECT row_to_json(r)::text FROM newsletter r WHERE email <> $2
UNION ALL SELECT json_build_array(id, title, partner_id, partner_note)::text FROM study_groups WHERE owner_id IS DISTINCT FROM partner_id AND partner_id <> $1
UNION ALL SELECT json_build_array(id, title, owner_id, owner_note)::text FROM study_groups WHERE owner_id IS DISTINCT FROM partner_id AND owner_id <> $1
ORDER BY 1`

// Bystanders is all that the company's database holds about everybody else, to
// be compared byte for byte before and after.
func (s *Stand) Bystanders(ctx context.Context, account int64, email string) (string, error) {
	var all []string
	err := s.query(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, bystanders, account, email)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return strings.Join(all, "\n"), err
}

// FilesOf counts the versions and delete markers of an account's files.
func (s *Stand) FilesOf(ctx context.Context, account int64) (int, error) {
	out, err := s.Objects().ListObjectVersions(ctx, &s3.ListObjectVersionsInput{
		Bucket: aws.String(filesBucket), Prefix: aws.String(fmt.Sprintf("learners/%d/", account)),
	})
	if err != nil {
		return 0, fmt.Errorf("listing the files of an account: %w", err)
	}
	return len(out.Versions) + len(out.DeleteMarkers), nil
}

// query runs f on a connection to the company's database.
func (s *Stand) query(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.Postgres)
	if err != nil {
		return fmt.Errorf("connecting to the company's database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := f(conn); err != nil {
		return fmt.Errorf("reading the company's database: %w", err)
	}
	return nil
}
