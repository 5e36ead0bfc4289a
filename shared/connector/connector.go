// Package connector is the contract between Writ and the systems that hold
// people's data. A vendor's driver implements Connector; stages never call it:
// Runner does, and adds once for everybody the capability check, the lease and
// hold check, intent before effect, time limit and continuation, redaction and
// the way from errors to outcomes.
package connector

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Connector is one vendor's driver, bound to one system: its base URL,
// credentials and configuration. Methods never retry, never log, and put no
// personal value in an error.
type Connector interface {
	// Locate finds the person's records. Nothing held is an empty Footprint and
	// no error; "could not look" is always an error.
	Locate(ctx context.Context, t Task) (Footprint, error)
	// Export writes everything the footprint names to the sink, in an order that
	// is the same each time, calling t.Save at each page so that it can be cut.
	Export(ctx context.Context, t Task, to Sink) (Receipt, error)
	// Erase removes or anonymises what the footprint names. The same Task.Key
	// twice has its effect once. What stays is reported as kept.
	Erase(ctx context.Context, t Task) (Receipt, error)
	// Rectify sets the named fields and touches no other. A field that it cannot
	// set is Unsupported, before anything is changed. The receipt's references
	// hold t.Changed.
	Rectify(ctx context.Context, t Task, changes []dsr.Change) (Receipt, error)
	// Suppress stops a purpose in a way that survives erasure. The receipt has an
	// outcome for each category that is not used for the purpose any more; a
	// purpose that the system does not know is Unsupported.
	Suppress(ctx context.Context, t Task, p dsr.Purpose) (Receipt, error)
	// ReadBack looks again, by the find step and not by what the receipt says;
	// with t.Changes it also counts the records in which a field reads otherwise.
	ReadBack(ctx context.Context, t Task, r Receipt) (Evidence, error)
}

// Task is one operation for one person on one system.
type Task struct {
	Key        string         // idempotency key: the same for every attempt of one (request, system, op)
	Identities []dsr.Identity // those that may be used here, proved first
	Categories []string       // what is exported, changed, erased and counted by it; empty for all that the system holds. Locate looks for all
	Ended      bool           // the ground on which records of these categories were kept has ended: they are erased like the rest
	Expired    *Expired       // Locate: whose records have expired, instead of one person's
	Changes    []dsr.Change   // read back after a correction: what the fields must say
	Pepper     []byte         // keys Print; it dies with the request's key
	Footprint  Footprint      // what Locate found; empty for Locate itself
	Job        string         // set when an earlier call answered Pending: look at that job, start nothing
	Cursor     string         // set when an earlier call was cut: go on from here
	Progress   Progress       // never nil when called by Runner or by connectortest
}

// Save tells the runner how far the op has come. A driver calls it between
// pages and returns its error unchanged: ErrPause means that the time is up,
// that everything written so far is safe, and that the op will be called again
// with this cursor.
func (t Task) Save(ctx context.Context, cursor string) error {
	if t.Progress == nil {
		return nil
	}
	return t.Progress.Save(ctx, cursor)
}

// Wants reports whether the task is for a data category.
func (t Task) Wants(category string) bool {
	return len(t.Categories) == 0 || slices.Contains(t.Categories, category)
}

// Print is a keyed hash of values: the evidence that something changed, which
// tells nobody what. Without the pepper nobody can try values out.
func (t Task) Print(values ...string) string {
	h := hmac.New(sha256.New, t.Pepper)
	for _, v := range values {
		fmt.Fprintf(h, "%d:%s", len(v), v)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Changed are the references of a correction's receipt: prints of what the
// fields said before and say after.
func (t Task) Changed(before, after []string) []string {
	return []string{PrintBefore + t.Print(before...), PrintAfter + t.Print(after...)}
}

// What the prints of a correction begin with.
const (
	PrintBefore = "before:"
	PrintAfter  = "after:"
)

// Emails returns the values of the mail identities.
func (t Task) Emails() []string { return t.Values(dsr.Email) }

// Values returns the values of the identities of one kind that may locate.
func (t Task) Values(kind dsr.Kind) []string {
	var values []string
	for _, i := range t.Identities {
		if i.Kind == kind && i.MayLocate() {
			values = append(values, i.Value)
		}
	}
	return values
}

// Progress is the runner's side of Task.Save.
type Progress interface {
	Save(ctx context.Context, cursor string) error
}

// ErrPause is returned by Task.Save when the op must stop here and go on later.
var ErrPause = errors.New("pausing at the time limit")

// Footprint is what Locate found: references to records and counts, and further
// identifiers. It is personal data and is kept sealed.
type Footprint struct {
	Records    []Record       `json:"records,omitempty"`
	Counts     map[string]int `json:"counts,omitempty"`     // data category → records
	Yields     []dsr.Identity `json:"yields,omitempty"`     // identifiers other systems may need
	Candidates int            `json:"candidates,omitempty"` // records that may be the person's: a person decides
	People     []Overdue      `json:"-"`                    // answer to Task.Expired
	Next       string         `json:"-"`                    // with People: where the next page begins; "" for the last
}

// Empty reports whether the system holds nothing and has no candidate.
func (f Footprint) Empty() bool { return len(f.Records) == 0 && f.Candidates == 0 }

// IDs returns the ids of the records of one kind.
func (f Footprint) IDs(kind string) []string {
	var ids []string
	for _, r := range f.Records {
		if r.Kind == kind {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// Record names one record in the system: its kind ("customer", "accounts") and
// the id that reaches it.
type Record struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Receipt says what an op did: outcomes with counts per data category, and the
// vendor's references. It never holds the data itself.
type Receipt struct {
	Outcomes []dsr.Outcome `json:"outcomes,omitempty"`
	Refs     []string      `json:"refs,omitempty"`
}

// Evidence is what ReadBack saw.
type Evidence struct {
	Remaining map[string]int `json:"remaining,omitempty"` // data category → records of the person still there and not kept
	Kept      map[string]int `json:"kept,omitempty"`      // data category → records still there under a rule of `keeps`
	Unchanged map[string]int `json:"unchanged,omitempty"` // data category → records in which a field of Task.Changes reads otherwise
	Refs      []string       `json:"refs,omitempty"`
}

// Gone reports whether nothing is left but what is kept.
func (e Evidence) Gone() bool {
	for _, n := range e.Remaining {
		if n > 0 {
			return false
		}
	}
	return true
}

// Sink receives an export. Rows stream through it: memory stays flat.
type Sink interface {
	// Row writes one JSON object of a data category; source is the table or kind
	// of object it comes from. Keys keep their order.
	Row(ctx context.Context, category, source string, row json.RawMessage) error
	// File copies one file; name is the original name, for the manifest only.
	File(ctx context.Context, category, source, name string, r io.Reader) error
}

// Base answers Unsupported for every op. Drivers embed it and override what the
// vendor offers.
type Base struct{}

// Locate answers Unsupported.
func (Base) Locate(context.Context, Task) (Footprint, error) {
	return Footprint{}, unsupported(dsr.Locate)
}

// Export answers Unsupported.
func (Base) Export(context.Context, Task, Sink) (Receipt, error) {
	return Receipt{}, unsupported(dsr.Export)
}

// Erase answers Unsupported.
func (Base) Erase(context.Context, Task) (Receipt, error) { return Receipt{}, unsupported(dsr.Erase) }

// Rectify answers Unsupported.
func (Base) Rectify(context.Context, Task, []dsr.Change) (Receipt, error) {
	return Receipt{}, unsupported(dsr.Rectify)
}

// Suppress answers Unsupported.
func (Base) Suppress(context.Context, Task, dsr.Purpose) (Receipt, error) {
	return Receipt{}, unsupported(dsr.Suppress)
}

// ReadBack answers Unsupported.
func (Base) ReadBack(context.Context, Task, Receipt) (Evidence, error) {
	return Evidence{}, unsupported(dsr.ReadBack)
}

func unsupported(op dsr.Op) error {
	return &Error{Kind: Unsupported, Op: op, Err: errors.New("the vendor offers no such call")}
}
