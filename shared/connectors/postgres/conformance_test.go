package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

func TestConformance(t *testing.T) {
	descriptor, err := postgres.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	dsn, conn := database(t)
	connectortest.Run(t, connectortest.Suite{
		Descriptor: descriptor,
		Transport:  connectortest.Direct,
		Store:      func(t testing.TB) connectortest.Store { return newStore(t, dsn, conn) },
		New: func(t testing.TB, env connectortest.Env) connector.Connector {
			cfg := env.Config
			cfg.Secrets = map[string]string{"dsn": env.Store.(*store).dsn}
			c, err := postgres.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Mapping: []byte(storeMapping),
		Keeps:   []connector.Keep{{ID: "books", Category: "payments", Reason: "what the company's pack says"}},
		Rectify: &connectortest.Rectification{Change: dsr.Change{Field: "name", New: "Ada Corrected"}, Touches: []string{"name"}},
		Suppress: &connectortest.Suppression{Purpose: dsr.Marketing, Holds: func(s connectortest.Store, p dsrtest.Person) (bool, error) {
			return s.(*store).silent(p)
		}},
		Lacks: map[connectortest.Trait]string{
			connectortest.Trait(connectortest.Throttled): "a database does not throttle; too many connections are SQLSTATE 53300, which the tests of faults cover",
		},
	})
}

const storeSchema = `
CREATE TABLE accounts (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, name text, phone text, hidden boolean NOT NULL DEFAULT false,
    contact_email text, note text, no_marketing_at timestamptz, cvv text, password text, ssn text, passport_number text);
CREATE TABLE visits (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id int NOT NULL REFERENCES accounts, page text NOT NULL);
CREATE TABLE payments (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id int NOT NULL REFERENCES accounts, billing_name text);
CREATE TABLE newsletter (email text PRIMARY KEY, city text, hidden boolean NOT NULL DEFAULT false, stopped boolean NOT NULL DEFAULT false);`

const storeMapping = `
[[table]]
table = "accounts"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id", "email", "name", "phone", "contact_email", "note", "cvv", "password", "ssn", "passport_number"]
action = "anonymise"
null = ["email", "name", "phone", "contact_email", "note", "cvv", "password", "ssn", "passport_number"]
yields = { id = "account_id" }
rectify = { name = "name" }
marks = { marketing = "no_marketing_at" }
[[table]]
table = "visits"
category = "usage"
path = ["account_id -> accounts(id)"]
columns = ["id", "page"]
action = "delete"
[[table]]
table = "payments"
category = "payments"
path = ["account_id -> accounts(id)"]
columns = ["id", "billing_name"]
action = "keep"
rule = "books"
[[table]]
table = "newsletter"
category = "marketing"
owner = { column = "email", identity = "email" }
columns = ["email", "city"]
action = "delete"
marks = { marketing = "stopped" }
`

// roles counts the roles that were made: they are the server's, not a database's.
var roles atomic.Int64

// store is a database as the conformance kit drives it.
type store struct {
	t      testing.TB
	conn   *pgx.Conn
	dsn    string // the driver's: a role of its own, over the proxy
	role   string
	proxy  *proxy
	people map[string]string // account id → whose it is
}

// newStore empties the database: the kit uses one store at a time.
func newStore(t testing.TB, dsn string, conn *pgx.Conn) *store {
	t.Helper()
	exec(t, conn, emptied, storeSchema)
	s := &store{t: t, conn: conn, role: fmt.Sprintf("role_%d", roles.Add(1)), people: map[string]string{}}
	exec(t, conn, "CREATE ROLE "+s.role+" LOGIN",
		"GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+s.role, "GRANT UPDATE, DELETE ON accounts, visits, newsletter TO "+s.role)
	over, p := through(t, dsn)
	u, err := url.Parse(over)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(s.role)
	s.dsn, s.proxy = u.String(), p
	return s
}

// Seed adds nine long visits: an export saves after each third.
func (s *store) Seed(p dsrtest.Person) error {
	var id string
	err := s.conn.QueryRow(s.t.Context(), `
		WITH a AS (INSERT INTO accounts (email, name, phone) VALUES ($1, $2, $3) RETURNING id),
		     v AS (INSERT INTO visits (account_id, page) SELECT a.id, 'page ' || g || ' for ' || $2::text || repeat('.', 100000) FROM a, generate_series(1, 9) g),
		     p AS (INSERT INTO payments (account_id, billing_name) SELECT a.id, $2::text FROM a, generate_series(1, 2)),
		     n AS (INSERT INTO newsletter VALUES ($1, $4))
		SELECT id::text FROM a`, p.Email, p.Name, p.Phone, p.City).Scan(&id)
	s.people[id] = p.Email
	return err
}

func (s *store) Annotate(p dsrtest.Person, field, value string) error {
	if field == "email" {
		field = "contact_email" // what an account is found by is not free
	}
	_, err := s.conn.Exec(s.t.Context(), "UPDATE accounts SET "+pgx.Identifier{field}.Sanitize()+" = $1 WHERE email = $2", value, p.Email)
	return err
}

// silent reports whether nothing that is there may be used to write to the person.
func (s *store) silent(p dsrtest.Person) (bool, error) {
	for id, email := range s.people {
		if email != p.Email {
			continue
		}
		var loud int
		err := s.conn.QueryRow(s.t.Context(), `
			SELECT (SELECT count(*) FROM accounts WHERE id::text = $1 AND no_marketing_at IS NULL) +
			       (SELECT count(*) FROM newsletter WHERE email = $2 AND NOT stopped)`, id, email).Scan(&loud)
		return loud == 0, err
	}
	return false, nil
}

// Records lists every row. An account belongs to nobody once it has no address;
// what hangs on it remains the person's.
func (s *store) Records() ([]connectortest.Record, error) {
	rows, err := s.conn.Query(s.t.Context(), `
		SELECT 'account', id::text, id::text, coalesce(email, ''), hidden, to_json(a)::text FROM accounts a
		UNION ALL SELECT 'usage', id::text, account_id::text, '', false, to_json(v)::text FROM visits v
		UNION ALL SELECT 'payments', id::text, account_id::text, '', false, to_json(p)::text FROM payments p
		UNION ALL SELECT 'marketing', email, '', email, hidden, to_json(n)::text FROM newsletter n
		ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	var all []connectortest.Record
	var r connectortest.Record
	var account, address, content string
	_, err = pgx.ForEachRow(rows, []any{&r.Category, &r.ID, &account, &address, &r.Hidden, &content}, func() error {
		one := r
		if one.Owner = address; account != "" && one.Category != "account" {
			one.Owner = s.people[account]
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(content), &fields); err != nil {
			return err
		}
		one.Fields = map[string]string{}
		for k, v := range fields {
			one.Fields[k] = fmt.Sprint(v)
		}
		all = append(all, one)
		return nil
	})
	return all, err
}

// Inject acts faults out with triggers, the role and the proxy.
func (s *store) Inject(f connectortest.Fault) error {
	const refuse = `CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN %s RETURN NULL; END $$;
		CREATE TRIGGER meddle BEFORE %s ON %s FOR EACH ROW %s EXECUTE FUNCTION meddle()`
	var statements []string
	switch f {
	case connectortest.NoFault:
		s.proxy.down.Store(false)
		s.proxy.loseAnswer.Store(false)
		statements = []string{"ALTER ROLE " + s.role + " LOGIN", "DROP FUNCTION IF EXISTS meddle CASCADE"}
	case connectortest.IgnoreWrites:
		statements = []string{fmt.Sprintf(refuse, "", "UPDATE OR DELETE", "accounts", "")}
		for _, table := range []string{"visits", "newsletter"} {
			statements = append(statements, "CREATE TRIGGER meddle BEFORE DELETE ON "+table+" FOR EACH ROW EXECUTE FUNCTION meddle()")
		}
	case connectortest.SoftDelete:
		statements = []string{fmt.Sprintf(refuse, "UPDATE newsletter SET hidden = true WHERE email = OLD.email;", "DELETE", "newsletter", "")}
	case connectortest.Partial:
		statements = []string{fmt.Sprintf(refuse, "", "DELETE", "visits", "WHEN (OLD.id % 9 = 7)")}
	case connectortest.Refused:
		statements = []string{"ALTER ROLE " + s.role + " NOLOGIN"}
	case connectortest.Down:
		s.proxy.down.Store(true)
	case connectortest.LoseAnswer:
		s.proxy.loseAnswer.Store(true)
	default:
		return connectortest.ErrCannot
	}
	_, err := s.conn.Exec(context.WithoutCancel(s.t.Context()), strings.Join(statements, ";"))
	return err
}
