package s3_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	driver "github.com/writ-dsr/writ/shared/connectors/s3"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

var (
	byPrefix = map[string]string{"bucket": bucket, "category": category, "prefix": "learners/{account_id}/"}
	byTag    = map[string]string{"bucket": bucket, "category": category, "tag": "owner={email}"}
)

func config(settings map[string]string) connector.Config {
	return connector.Config{System: "files", Settings: settings, Now: func() time.Time { return connectortest.Now }}
}

func on(t *testing.T, settings map[string]string, w *twin) *driver.Driver {
	t.Helper()
	d, err := driver.Bind(config(settings), w)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func account(id string) connector.Task {
	return connector.Task{Identities: []dsr.Identity{{Kind: "account_id", Value: id, Origin: dsr.SystemOfRecord}}}
}

// located returns the task with its footprint.
func located(t *testing.T, d *driver.Driver, task connector.Task) connector.Task {
	t.Helper()
	f, err := d.Locate(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	task.Footprint = f
	return task
}

func TestSettingsThatWouldReachOthersAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]string
		says   string
	}{
		"no / after the identifier": {map[string]string{"prefix": "learners/{account_id}"}, "a / after"},
		"no / at the end":           {map[string]string{"prefix": "learners/{account_id}/work"}, "a / after"},
		"no / before":               {map[string]string{"prefix": "learner{account_id}/"}, "a / before"},
		"no identifier":             {map[string]string{"prefix": "learners/"}, "one {kind}"},
		"two identifiers":           {map[string]string{"prefix": "{a}/{b}/"}, "one {kind}"},
		"nothing":                   {map[string]string{"prefix": ""}, "one {kind}"},
		"an address in the prefix":  {map[string]string{"prefix": "learners/{email}/"}, "use tag"},
		"a tag without value":       {map[string]string{"prefix": "", "tag": "owner"}, "key={kind}"},
		"a tag with more":           {map[string]string{"prefix": "", "tag": "owner=x{email}"}, "key={kind}"},
		"a tag and an identifier":   {map[string]string{"tag": "owner={email}"}, "must be fixed"},
		"no bucket":                 {map[string]string{"bucket": ""}, "bucket is missing"},
		"no category":               {map[string]string{"category": ""}, "category is missing"},
		"a misspelt key":            {map[string]string{"prefx": "x"}, "does not know prefx"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := map[string]string{}
			for k, v := range byPrefix {
				settings[k] = v
			}
			for k, v := range c.change {
				settings[k] = v
			}
			_, err := driver.Bind(config(settings), newTwin())
			if connector.KindOf(err) != connector.Invalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want Invalid with %q", err, c.says)
			}
		})
	}
}

func TestIdentifiersThatWouldChangeThePrefixAreRefused(t *testing.T) {
	for _, id := range []string{"", "1/2", "..", "1\n2", strings.Repeat("1", 257)} {
		d := on(t, byPrefix, newTwin())
		_, err := d.Locate(t.Context(), account(id))
		if connector.KindOf(err) != connector.Invalid {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := d.Erase(t.Context(), connector.Task{Footprint: connector.Footprint{Records: []connector.Record{{Kind: "owner", ID: id}}}}); connector.KindOf(err) != connector.Invalid {
			t.Errorf("erasing %q: %v", id, err)
		}
	}
}

func TestPrefixTrap(t *testing.T) {
	w := newTwin()
	w.put("learners/12/a", "hers", nil)
	for _, key := range []string{"learners/123/a", "learners/12", "learners/12.1/a", "learners/1/2/a", "LEARNERS/12/a", "x/learners/12/a"} {
		w.put(key, "not hers", nil)
	}
	d := on(t, byPrefix, w)
	task := located(t, d, account("12"))
	if n := task.Footprint.Counts[category]; n != 1 {
		t.Fatalf("located %d, want 1", n)
	}
	if _, err := d.Erase(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if len(w.versions) != 6 {
		t.Errorf("left are %v, want the six of others", w.keys())
	}
}

func TestWithoutAnAccountThereIsNowhereToLook(t *testing.T) {
	w := newTwin()
	w.put("learners/12/a", "hers", nil)
	task := located(t, on(t, byPrefix, w), connector.Task{Identities: []dsr.Identity{dsrtest.Ada.Proved()}})
	if !task.Footprint.Empty() {
		t.Errorf("found %v", task.Footprint.Counts)
	}
}

func TestDeletionsNameVersionsInBatchesOfAThousand(t *testing.T) {
	w := newTwin()
	w.pageSize = 700
	for n := range 2100 {
		w.put(fmt.Sprintf("learners/12/%04d", n), "x", nil)
	}
	w.remove("learners/12/0000")
	d := on(t, byPrefix, w)
	driver.Batch(d, 1000)
	task := located(t, d, account("12"))
	r, err := d.Erase(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{}
	for _, batch := range w.deletes {
		sizes = append(sizes, len(batch))
		for _, o := range batch {
			if o.VersionId == nil || *o.VersionId == "" {
				t.Fatal("a deletion names no version")
			}
		}
	}
	if fmt.Sprint(sizes) != "[1000 1000 101]" {
		t.Errorf("batches of %v", sizes)
	}
	if len(w.versions) != 0 || r.Outcomes[0].Count != 2100 {
		t.Errorf("%d versions left, receipt %v", len(w.versions), r.Outcomes)
	}
}

func TestLocks(t *testing.T) {
	w := newTwin()
	w.locking = true
	w.put("learners/12/held", "x", nil).hold = true
	w.put("learners/12/retained", "x", nil).retainTil = connectortest.Now.Add(time.Hour)
	w.put("learners/12/expired", "x", nil).retainTil = connectortest.Now.Add(-time.Hour)
	w.put("learners/12/free", "x", nil)
	w.remove("learners/12/held")
	d := on(t, byPrefix, w)
	task := located(t, d, account("12"))
	r, err := d.Erase(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %d, %s %d", r.Outcomes[0].Kind, r.Outcomes[0].Count, r.Outcomes[1].Kind, r.Outcomes[1].Count); got != "erased 2, kept 2" {
		t.Errorf("receipt: %s", got)
	}
	seen, err := d.ReadBack(t.Context(), task, r)
	if err != nil || !seen.Gone() || seen.Kept[category] != 2 {
		t.Errorf("read back: %v, %v", seen, err)
	}
	w.remove("learners/12/free") // a marker alone is not nothing: its key is the person's
	if seen, err := d.ReadBack(t.Context(), task, r); err != nil || seen.Gone() {
		t.Errorf("read back with a delete marker left: %v, %v", seen, err)
	}
	w.denied = map[string]string{"GetObjectRetention": "NoSuchVersion", "GetObjectLegalHold": "NoSuchVersion"}
	if seen, err := d.ReadBack(t.Context(), task, r); err != nil || seen.Gone() || seen.Kept[category] != 0 {
		t.Errorf("read back of what goes meanwhile: %v, %v; want it seen, and not as kept", seen, err)
	}
	w.hides(t, d, task)
}

// hides checks that a lock that cannot be looked at is neither kept nor gone.
func (w *twin) hides(t *testing.T, d *driver.Driver, task connector.Task) {
	t.Helper()
	w.denied = map[string]string{"GetObjectRetention": "AccessDenied"}
	if _, err := d.Erase(t.Context(), task); connector.KindOf(err) != connector.Unauthorized {
		t.Errorf("erasing where locks cannot be read: %v", err)
	}
	if _, err := d.ReadBack(t.Context(), task, connector.Receipt{}); connector.KindOf(err) != connector.Unauthorized {
		t.Errorf("reading back where locks cannot be read: %v", err)
	}
}

// meddled changes what DeleteObjects answers.
type meddled struct {
	*twin
	change func(*s3.DeleteObjectsOutput)
}

func (m meddled) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput, o ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error) {
	out, err := m.twin.DeleteObjects(ctx, in, o...)
	if err == nil {
		m.change(out)
	}
	return out, err
}

func TestWhatS3DoesNotCallDeletedIsNot(t *testing.T) {
	refuse := func(code string) func(*s3.DeleteObjectsOutput) {
		return func(out *s3.DeleteObjectsOutput) {
			gone := out.Deleted[0]
			out.Deleted, out.Errors = out.Deleted[1:], []types.Error{{Key: gone.Key, VersionId: gone.VersionId, Code: &code}}
		}
	}
	for name, c := range map[string]struct {
		change func(*s3.DeleteObjectsOutput)
		kind   connector.Kind
	}{
		"one is not mentioned": {func(out *s3.DeleteObjectsOutput) { out.Deleted = out.Deleted[1:] }, connector.Invalid},
		"another version":      {func(out *s3.DeleteObjectsOutput) { other := "v0"; out.Deleted[0].VersionId = &other }, connector.Invalid},
		"denied, not locked":   {refuse("AccessDenied"), connector.Unauthorized},
		"slow down":            {refuse("SlowDown"), connector.RateLimited},
		"its own error":        {refuse("InternalError"), connector.Unavailable},
		"an unknown code":      {refuse("Sunspots"), connector.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTwin()
			for n := range 3 {
				w.put(fmt.Sprint("learners/12/", n), "x", nil)
			}
			d, err := driver.Bind(config(byPrefix), meddled{w, c.change})
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Erase(t.Context(), located(t, d, account("12")))
			var e *connector.Error
			if !errors.As(err, &e) || e.Kind != c.kind || !e.Sent {
				t.Errorf("got %v, want %s, sent", err, c.kind)
			}
		})
	}
}

func TestOwnersOfOneKeyByTag(t *testing.T) {
	w := newTwin()
	tag := func(p dsrtest.Person) map[string]string { return map[string]string{"owner": p.Email} }
	w.put("shared.txt", "hers", tag(dsrtest.Ada))
	w.put("shared.txt", "his", tag(dsrtest.Ben))
	w.remove("shared.txt")
	w.put("own.txt", "hers", tag(dsrtest.Ada))
	w.remove("own.txt")
	w.put("case.txt", "whose?", tag(dsrtest.AdaUpper))
	w.put("none.txt", "nobody's", nil)
	d := on(t, byTag, w)
	task := located(t, d, connector.Task{Identities: []dsr.Identity{dsrtest.Ada.Proved()}})
	if task.Footprint.Counts[category] != 2 || task.Footprint.Candidates != 1 {
		t.Errorf("located %v and %d candidates, want 2 and 1", task.Footprint.Counts, task.Footprint.Candidates)
	}
	if _, err := d.Erase(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.keys(), ", "); got != "shared.txt@v2 marker=false, shared.txt@v3 marker=true, case.txt@v6 marker=false, none.txt@v7 marker=false" {
		t.Errorf("left are %s", got)
	}
}

// took is a sink that keeps names and sizes.
type took struct {
	names []string
	bytes int64
}

func (s *took) Row(context.Context, string, string, json.RawMessage) error {
	return errors.New("an object is no row")
}

func (s *took) File(_ context.Context, _, _, name string, r io.Reader) error {
	n, err := io.Copy(io.Discard, r)
	s.names, s.bytes = append(s.names, name), s.bytes+n
	return err
}

func TestNamesOfCopies(t *testing.T) {
	w := newTwin()
	w.pageSize = 1
	for _, name := range []string{"a b+c.txt", "deep/er/é 文.txt", "odd\x01%2F&<.txt"} {
		w.put("learners/12/"+name, "x", nil)
	}
	w.put("learners/12/a b+c.txt", "newer", nil)
	d := on(t, byPrefix, w)
	var out took
	r, err := d.Export(t.Context(), located(t, d, account("12")), &out)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a b+c.txt", "a b+c.txt (version v1)", "deep/er/é 文.txt", "odd\x01%2F&<.txt"}
	if fmt.Sprint(out.names) != fmt.Sprint(want) || out.bytes != 8 || r.Outcomes[0].Count != 4 {
		t.Errorf("names %q, %d bytes, %v", out.names, out.bytes, r.Outcomes)
	}
}

func TestFaultsOfS3(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*twin)
		kind   connector.Kind
	}{
		"another bucket":         {func(w *twin) { w.denied = map[string]string{"ListObjectVersions": "NoSuchBucket"} }, connector.Invalid},
		"archived":               {func(w *twin) { w.archived = true }, connector.Invalid},
		"content breaks off":     {func(w *twin) { w.cut = true }, connector.Unavailable},
		"went while it was read": {func(w *twin) { w.denied = map[string]string{"GetObject": "NoSuchVersion"} }, connector.Unavailable},
		"the same page again":    {func(w *twin) { w.stuck = true }, connector.Invalid},
		"uploads not readable":   {func(w *twin) { w.denied = map[string]string{"ListMultipartUploads": "AccessDenied"} }, connector.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTwin()
			for n := range 7 {
				w.put(fmt.Sprint("learners/12/", n), "content", nil)
			}
			d := on(t, byPrefix, w)
			task := located(t, d, account("12"))
			c.change(w)
			_, err := d.Export(t.Context(), task, &took{})
			if err == nil {
				_, err = d.Locate(t.Context(), task)
			}
			if connector.KindOf(err) != c.kind {
				t.Errorf("got %v, want %s", err, c.kind)
			}
			if connectortest.FindCanary([]byte(fmt.Sprint(err))) != "" || strings.Contains(fmt.Sprint(err), "learners") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestThrottlingKeepsTheHint(t *testing.T) {
	w := newTwin()
	w.fault = connectortest.Throttled
	_, err := on(t, byPrefix, w).Locate(t.Context(), account("12"))
	var e *connector.Error
	if !errors.As(err, &e) || e.RetryAfter != 9*time.Second {
		t.Errorf("got %v", err)
	}
}

func TestUploadsOverPages(t *testing.T) {
	w := newTwin()
	for n := range 5 {
		w.uploads = append(w.uploads, upload{"learners/12/film " + fmt.Sprint(n), w.id()})
	}
	w.uploads = append(w.uploads, upload{"learners/123/film", w.id()})
	d := on(t, byPrefix, w)
	task := located(t, d, account("12"))
	r, err := d.Erase(t.Context(), task)
	if err != nil || len(w.uploads) != 1 || r.Outcomes[0].Count != 5 {
		t.Errorf("%d uploads left, receipt %v, %v", len(w.uploads), r.Outcomes, err)
	}
	w.uploads = append(w.uploads, upload{"learners/12/new", w.id()})
	if seen, err := d.ReadBack(t.Context(), task, r); err != nil || seen.Gone() {
		t.Errorf("read back with an upload in progress: %v, %v", seen, err)
	}
	w.stuck = true
	w.uploads = append(w.uploads, w.uploads[1], w.uploads[1])
	if _, err := d.ReadBack(t.Context(), task, r); connector.KindOf(err) != connector.Invalid {
		t.Errorf("a list of uploads that repeats: %v", err)
	}
}
