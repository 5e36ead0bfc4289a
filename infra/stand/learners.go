package stand

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schema string

// Learner is a synthetic person in the company's systems.
type Learner struct {
	Name, Email, Phone string
	Courses            int    // rows of course progress
	Payments           int    // rows of payments
	Files              int    // objects in the bucket of handed-in files
	Newsletter         bool   // subscribed
	StripeCustomer     string // id at the payment company; "" for none
	StudiesWith        string // address of an earlier learner of the list: a row both own
}

// seededAt is when every seeded row was written; rows of one learner follow a day apart.
var seededAt = time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC)

var courses = []string{"Python basics", "Data frames", "Web services", "Testing", "Concurrency"}

// seedPostgres makes the company's database, puts the learners into it and
// returns the account number of every address.
func seedPostgres(ctx context.Context, dsn string, learners []Learner) (accounts map[string]int64, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connecting to the company's database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	accounts = map[string]int64{}
	return accounts, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, schema); err != nil {
			return fmt.Errorf("making the company's tables: %w", err)
		}
		for i, l := range learners {
			id, err := seedLearner(ctx, tx, l)
			if err != nil {
				return fmt.Errorf("putting learner %d into the company's database: %w", i+1, err)
			}
			accounts[l.Email] = id
		}
		return nil
	})
}

func seedLearner(ctx context.Context, tx pgx.Tx, l Learner) (id int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO accounts (email, name, phone, stripe_customer, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id`,
		l.Email, l.Name, l.Phone, nullable(l.StripeCustomer), seededAt).Scan(&id)
	if err != nil {
		return 0, err
	}
	batch := &pgx.Batch{}
	for n := range l.Courses {
		batch.Queue(`INSERT INTO course_progress (account_id, course, score, watched, updated_at) VALUES ($1, $2, $3, $4, $5)`,
			id, courses[n%len(courses)], 60+7*n%40, 15*(n+1), seededAt.AddDate(0, 0, n))
	}
	for n := range l.Payments {
		batch.Queue(`INSERT INTO payments (account_id, amount_cents, currency, card_last4, billing_name, paid_at) VALUES ($1, $2, 'eur', '4242', $3, $4)`,
			id, 4900+100*n, l.Name, seededAt.AddDate(0, 0, n))
	}
	if l.Newsletter {
		batch.Queue(`INSERT INTO newsletter (email, consent_at) VALUES ($1, $2)`, l.Email, seededAt)
	}
	if l.StudiesWith != "" {
		batch.Queue(`INSERT INTO study_groups (title, owner_id, partner_id, owner_note, partner_note)
			SELECT 'Evening group', $1, id, 'Wednesdays suit ' || $2::text, 'Fridays suit ' || name FROM accounts WHERE email = $3`,
			id, l.Name, l.StudiesWith)
	}
	return id, tx.SendBatch(ctx, batch).Close()
}

// seedFiles fills the bucket of handed-in files, which keeps old versions.
func seedFiles(ctx context.Context, objects *s3.Client, accounts map[string]int64, learners []Learner) error {
	_, err := objects.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(filesBucket),
		VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return fmt.Errorf("making the bucket of files keep versions: %w", err)
	}
	for i, l := range learners {
		for n := range l.Files {
			_, err := objects.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String(filesBucket),
				Key:    aws.String(fmt.Sprintf("learners/%d/homework-%d.txt", accounts[l.Email], n+1)),
				Body:   strings.NewReader(fmt.Sprintf("Homework %d of %s.\n", n+1, l.Name)),
			})
			if err != nil {
				return fmt.Errorf("putting files of learner %d into the bucket: %w", i+1, err)
			}
		}
	}
	return nil
}

// nullable turns "" into SQL's NULL.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
