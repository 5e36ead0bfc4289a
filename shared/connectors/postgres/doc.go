// Package postgres acts on a company's own PostgreSQL database. The company
// maps its tables in systems.toml: whose a row is, which columns a copy holds
// and what an erasure does. Everything else comes from the database's own
// catalogue: keys, constraints, and the order in which rows may go.
//
// The path of a call: mapping.go and compile.go read the mapping, catalogue.go
// and check.go compare it with the database, match.go finds the stored values
// that are the person's, find.go turns a mapped table into a condition in SQL,
// and each operation has a file of its own.
package postgres
