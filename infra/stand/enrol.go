package stand

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Enrol puts one more learner into the running company's database and bucket,
// and returns their account number. What Stripe holds is the caller's to seed.
func (s *Stand) Enrol(ctx context.Context, l Learner) (account int64, err error) {
	conn, err := pgx.Connect(ctx, s.Postgres)
	if err != nil {
		return 0, fmt.Errorf("connecting to the company's database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		account, err = seedLearner(ctx, tx, l)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("enrolling a learner: %w", err)
	}
	return account, seedFiles(ctx, s.Objects(), map[string]int64{l.Email: account}, []Learner{l})
}
