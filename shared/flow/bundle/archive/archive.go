// Package archive writes the copy that a person receives: ZIP files with a page
// to read, the data as JSON and CSV, and a manifest.
//
// It streams from object storage to object storage, so memory stays flat at
// any size, and the same input gives the same bytes. Every row is counted and
// every part is hashed on the way: what differs from what the export says is an
// error, and nothing is delivered.
//
// The layout of a copy:
//
//	index.html                            what, from where, why, who received it, how long, your rights
//	data/<system>/<category>/<source>.json   an array with one row a line, as the system holds them
//	data/<system>/<category>/<source>.csv    the same for a spreadsheet: RFC 4180, formulas neutralised
//	files/<system>/<category>/0001.jpg       files, under names of ours
//	manifest.json                         every file with its rows, SHA-256 and source; what is missing and why
//
// A copy that would be larger than Input.Limit goes on in a further ZIP.
package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export"
)

// Input is everything a copy depends on, apart from the exports themselves.
type Input struct {
	Reference  string // the request's id
	Prefix     string // of the ZIPs in object storage, no slash at its end
	Lang       string // BCP 47; "" for English
	Company    Company
	Law        Law
	ReceivedAt time.Time
	At         time.Time // when the last system was read: the time of every entry
	Systems    []System
	Categories []Category
	Receivers  []Receiver
	Limit      int64 // bytes of one ZIP; 0 for 2 GiB
}

// Company is the controller, for the page.
type Company struct {
	Name      string
	Officer   string
	Mail      string
	Phone     string
	Post      string
	Complain  string // to the company itself
	Transfers string // how data that leaves the person's country is protected
	Policy    string // date of the policy the words come from
	Legal     string // its full name and seat
	Acts      string // who acts for it where the person lives (GDPR Art. 27)
}

// Law is what the person's law gives them.
type Law struct {
	Name     string
	Complain string
	Rights   []string
}

// Receiver is who gets data from the company, by name (GDPR Art. 15(1)(c)).
type Receiver struct {
	Name     string
	Standing string // in plain words: "works for us"
	Where    string
	Data     []string // plain names of the kinds of data
}

// Category is one kind of data in words for the person (GDPR Art. 15(1)).
type Category struct {
	ID        string
	Name      string
	Why       string
	Basis     string
	Retention string
	Source    string
	Received  []string // who received it, by name
}

// System is one system the copy was asked of.
type System struct {
	ID       string
	Name     string
	Source   string
	Exports  []string // prefixes of its exports, in order; none when nothing was exported
	Outcomes []Outcome
}

// Outcome is what the ledger says of one category in the system.
type Outcome struct {
	Category string
	Kind     string
	Count    int
	Says     string // one plain sentence, for what is not in the copy or needs a remark; else ""
}

// Result says what was written.
type Result struct {
	ZIPs  []ZIP
	Rows  int
	Files int
}

// ZIP is one file of the copy.
type ZIP struct {
	Key    string
	Bytes  int64
	SHA256 string
}

// DefaultLimit is the size from which many programs refuse a ZIP or a download.
const DefaultLimit = 2 << 30

// ErrMismatch means that an export does not hold what it says it holds.
var ErrMismatch = errors.New("the export does not hold what its parts say")

// Build writes the copy and returns its files. On an error the copy is not
// complete and must not be delivered; Build may be called again.
func Build(ctx context.Context, in Input, from export.Opener, to export.Creator) (Result, error) {
	b, err := newBuilder(ctx, in, from, to)
	if err != nil {
		return Result{}, fmt.Errorf("building the copy: %w", err)
	}
	defer b.drop()
	if err := b.build(); err != nil {
		return Result{}, fmt.Errorf("building the copy: %w", err)
	}
	return b.result, nil
}

// builder is one call of Build.
type builder struct {
	Input
	ctx      context.Context
	from     export.Opener
	to       export.Creator
	names    names
	pool     *pool
	volume   *volume // the ZIP that is written
	number   int     // of the volume, from 1
	sets     []*set
	manifest Manifest
	sample   int    // bytes of rows kept for the page
	buf      []byte // for copying files
	result   Result
}

func newBuilder(ctx context.Context, in Input, from export.Opener, to export.Creator) (*builder, error) {
	if in.Reference == "" || in.Prefix == "" || in.At.IsZero() {
		return nil, errors.New("reference, prefix and time are needed")
	}
	if in.Limit == 0 {
		in.Limit = DefaultLimit
	}
	if in.Limit < minLimit {
		return nil, fmt.Errorf("a ZIP of at most %d bytes is too small to hold anything", in.Limit)
	}
	if in.Lang == "" {
		in.Lang = "en"
	}
	b := &builder{Input: in, ctx: ctx, from: from, to: to, names: names{}, pool: newPool()}
	b.manifest = newManifest(in)
	return b, nil
}

func (b *builder) build() error {
	if err := b.open(); err != nil {
		return err
	}
	for i, s := range b.Systems {
		sets, err := b.gather(s)
		if err != nil {
			return fmt.Errorf("system %s: %w", s.ID, err)
		}
		for _, set := range sets {
			if err := b.write(set); err != nil {
				return fmt.Errorf("system %s, category %s: %w", s.ID, set.category, err)
			}
			b.sets = append(b.sets, set)
			if err := b.manifest.add(i, set); err != nil {
				return fmt.Errorf("system %s, category %s: %w", s.ID, set.category, err)
			}
			b.result.Rows += set.rows
			b.result.Files += len(set.files)
		}
	}
	return b.finish(true)
}

// set is what one system holds of one category from one source, over all parts.
type set struct {
	system   System
	category string
	source   string
	groups   []group
	rows     int
	bytes    int64
	columns  []string
	known    map[string]bool // the columns again
	beyond   bool            // there are more columns than are kept
	files    []file
	masked   []export.Mask

	json, csv []*Entry // pieces in order
	copies    []*Entry // of files, in order
	sample    []string // rows for the page; nil when there are too many
}

// group is a part's share of a set, and file one of its files; they lie below
// prefix.
type group struct {
	export.Group
	prefix string
}

type file struct {
	export.File
	prefix string
}

// gather puts the groups of all parts together, in first-seen order: however
// the exports were cut, the sets are the same.
func (b *builder) gather(s System) ([]*set, error) {
	var sets []*set
	for _, prefix := range s.Exports {
		parts, err := export.Read(b.ctx, b.from, prefix)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			for _, g := range p.Groups {
				i := slices.IndexFunc(sets, func(t *set) bool { return t.category == g.Category && t.source == g.Source })
				if i < 0 {
					i = len(sets)
					sets = append(sets, &set{system: s, category: g.Category, source: g.Source, known: map[string]bool{}})
				}
				sets[i].take(group{g, prefix})
			}
		}
	}
	return sets, nil
}

func (t *set) take(g group) {
	t.groups = append(t.groups, g)
	t.rows += g.Rows
	t.bytes += g.Bytes
	for _, f := range g.Files {
		t.files = append(t.files, file{f, g.prefix})
	}
	t.masked = addMasks(t.masked, g.Masked)
	t.beyond = t.beyond || g.Uncolumn
	for _, c := range g.Columns {
		switch {
		case t.known[c]:
		case len(t.columns) == export.MaxColumns:
			t.beyond = true
		default:
			t.known[c] = true
			t.columns = append(t.columns, c)
		}
	}
}

func addMasks(all, more []export.Mask) []export.Mask {
	for _, m := range more {
		i := slices.IndexFunc(all, func(a export.Mask) bool { return a.Field == m.Field && a.Reason == m.Reason })
		if i < 0 {
			all = append(all, m)
		} else {
			all[i].Count += m.Count
		}
	}
	return all
}

// write puts one set into the ZIP: its rows twice, and its files.
func (b *builder) write(s *set) error {
	if s.rows > 0 {
		base := b.names.take("data/" + safe(s.system.ID) + "/" + safe(s.category) + "/" + safe(s.source))
		if err := b.writeJSON(s, base); err != nil {
			return err
		}
		if err := b.writeCSV(s, base); err != nil {
			return err
		}
	}
	for n, f := range s.files {
		base := b.names.take(fmt.Sprintf("files/%s/%s/%04d", safe(s.system.ID), safe(s.category), n+1))
		if err := b.writeFile(s, f, base); err != nil {
			return err
		}
	}
	return nil
}

// open starts the next ZIP.
func (b *builder) open() error {
	b.number++
	v, err := newVolume(b.ctx, b.to, fmt.Sprintf("%s/copy-%d.zip", b.Prefix, b.number), b.At, b.pool)
	if err != nil {
		return err
	}
	b.volume = v
	return nil
}

// finish ends the current ZIP. The last one gets the page and the manifest of
// the whole copy; each one before it gets the manifest of what it holds.
func (b *builder) finish(last bool) error {
	manifest, page := b.manifest.of(b.number, last), fmt.Sprintf("manifest-%d.json", b.number)
	if last {
		page = "manifest.json"
		html, err := b.index()
		if err != nil {
			return err
		}
		if err := b.volume.put("index.html", html); err != nil {
			return err
		}
		manifest.Page = digest(html)
	}
	body, err := manifest.encode()
	if err != nil {
		return err
	}
	if err := b.volume.put(page, body); err != nil {
		return err
	}
	zip, err := b.volume.close()
	if err != nil {
		return err
	}
	b.volume = nil
	if zip.Bytes > b.Limit {
		return fmt.Errorf("a ZIP has %d bytes, the limit is %d", zip.Bytes, b.Limit)
	}
	b.result.ZIPs = append(b.result.ZIPs, zip)
	return nil
}

// roll goes on in a further ZIP.
func (b *builder) roll() error {
	if err := b.finish(false); err != nil {
		return err
	}
	return b.open()
}

// drop throws away a ZIP that was not finished.
func (b *builder) drop() {
	if b.volume != nil {
		b.volume.abort()
	}
	b.pool.stop()
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
