package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// fault turns what pgx returns into an error of ours. The server's message and
// detail repeat values of rows, so nothing of them goes on: only the SQLSTATE
// and the names of table, column and constraint.
func fault(op dsr.Op, doing string, err error) error {
	e := &connector.Error{Op: op}
	var server *pgconn.PgError
	var scan pgx.ScanArgError
	switch {
	case errors.As(err, &server):
		e.Kind = kindOf(server.Code)
		e.Err = fmt.Errorf("%s: the database answered SQLSTATE %s%s", doing, server.Code, place(server))
	case errors.Is(err, context.Canceled):
		e.Kind, e.Err = connector.Unavailable, fmt.Errorf("%s: %w", doing, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		e.Kind, e.Err = connector.Unavailable, fmt.Errorf("%s: %w", doing, context.DeadlineExceeded)
	case errors.As(err, &scan):
		e.Kind, e.Err = connector.Invalid, fmt.Errorf("%s: the database's answer is not of the type expected", doing)
	default:
		e.Kind, e.Err = connector.Unavailable, fmt.Errorf("%s: the connection to the database failed", doing)
	}
	return e
}

// invalid is what only a person can mend: the mapping or the database.
func invalid(op dsr.Op, format string, args ...any) error {
	return &connector.Error{Kind: connector.Invalid, Op: op, Err: fmt.Errorf(format, args...)}
}

// kindOf sorts SQLSTATE codes (PostgreSQL 18, appendix A).
func kindOf(code string) connector.Kind {
	switch code {
	case "42501": // insufficient_privilege; also what row_security = off answers
		return connector.Unauthorized
	case "40001", "40P01", // serialization_failure, deadlock_detected
		"55P03",          // lock_not_available
		"57014",          // query_canceled: the statement's time is up
		"25P03", "25P04", // idle_in_transaction_session_timeout, transaction_timeout
		"25006": // read_only_sql_transaction: a standby after a failover
		return connector.Unavailable
	}
	switch {
	case strings.HasPrefix(code, "28"): // invalid_authorization_specification
		return connector.Unauthorized
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "58"):
		return connector.Unavailable // connection, resources, shutdown, system
	}
	return connector.Invalid
}

// place names where the server's error happened, as far as it says.
func place(e *pgconn.PgError) string {
	var parts []string
	for _, p := range []struct{ word, value string }{{"table", e.TableName}, {"column", e.ColumnName}, {"constraint", e.ConstraintName}} {
		if p.value != "" {
			parts = append(parts, p.word+" "+p.value)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
