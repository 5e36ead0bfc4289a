package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/platform/objects"
)

var required = []string{
	"WRIT_COMPANY", "WRIT_STACK", "WRIT_URL", "WRIT_SENDER", "WRIT_OFFICER", "WRIT_TABLE_REQUESTS", "WRIT_TABLE_SUBJECTS", "WRIT_TABLE_TASKS", "WRIT_TABLE_EVENTS",
	"WRIT_TABLE_HOLDS", "WRIT_TABLE_TOKENS", "WRIT_TABLE_SUPPRESSION", "WRIT_BUCKET", "WRIT_KEY_DATA", "WRIT_KEY_MAC",
}

// deployed sets what the stack sets, changed by the pairs; "" takes a name away.
func deployed(t *testing.T, pairs ...string) {
	t.Helper()
	for _, name := range append([]string{"WRIT_MACHINE_ARN", "WRIT_CONFIG_SET", "WRIT_SYSTEM", "WRIT_EMULATOR", "WRIT_BASE_APP", "AWS_ENDPOINT_URL"}, required...) {
		t.Setenv(name, "x") // so that it is put back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range required {
		t.Setenv(name, "value-of-"+strings.ToLower(name))
	}
	t.Setenv("WRIT_COMPANY", "pythonmaster")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	for i := 0; i+1 < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
}

func TestOpen(t *testing.T) {
	deployed(t, "WRIT_MACHINE_ARN", "arn:aws:states:eu-central-1:000000000000:stateMachine:x", "WRIT_SYSTEM", "app")
	d, err := Open(t.Context(), "sweep")
	if err != nil {
		t.Fatal(err)
	}
	if d.Pack.ID != "pythonmaster" || d.Bucket != "value-of-writ_bucket" || d.Emulator || d.Ledger == nil || d.Vault == nil || d.Mail == nil || d.Objects == nil || d.Log == nil || d.Metric == nil {
		t.Errorf("opened %+v", d.Settings)
	}
}

func TestOpenNamesEverythingThatIsMissing(t *testing.T) {
	deployed(t)
	missing := []string{"WRIT_URL", "WRIT_TABLE_HOLDS"}
	for _, name := range missing {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("WRIT_KEY_MAC", "") // empty is missing
	_, err := Open(t.Context(), "sweep")
	if err == nil {
		t.Fatal("it opened")
	}
	for _, name := range append(missing, "WRIT_KEY_MAC", "sweep") {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "WRIT_BUCKET") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error names what is there, or has more than a line: %v", err)
	}
}

func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	for name, pair := range map[string][2]string{"an unknown company": {"WRIT_COMPANY", "nobody"}, "an odd switch": {"WRIT_EMULATOR", "maybe"}} {
		deployed(t, pair[0], pair[1])
		if _, err := Open(t.Context(), "sweep"); err == nil {
			t.Errorf("%s: it opened", name)
		}
	}
}

func TestAddresses(t *testing.T) {
	deployed(t, "WRIT_BASE_GOOGLE_CLOUD", "http://127.0.0.1:9", "WRIT_BUCKET", "b")
	d, err := Open(t.Context(), "sweep")
	if err != nil {
		t.Fatal(err)
	}
	if d.BaseURL("google-cloud") != "http://127.0.0.1:9" || d.BaseURL("google_cloud") != "http://127.0.0.1:9" || d.BaseURL("app") != "" {
		t.Error("the override of a base URL is not found, or is found for another system")
	}
	if got := d.BucketOrigin(); got != "https://b.s3.eu-central-1.amazonaws.com" {
		t.Errorf("the bucket's origin is %s", got)
	}
	d.Emulator = true
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
	if got := d.BucketOrigin(); got != "http://127.0.0.1:4566" {
		t.Errorf("the emulator's origin is %s", got)
	}
}

func TestBind(t *testing.T) {
	for system, want := range map[string]string{"app": "postgres", "stripe": "stripe", "files": "s3", "": "", "nowhere": ""} {
		deployed(t, "WRIT_SYSTEM", system)
		d, err := Open(t.Context(), "fanout-task")
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Bind()
		if (err != nil) != (want == "") || b.Descriptor.Code != want {
			t.Errorf("%q is bound to %q, %v", system, b.Descriptor.Code, err)
		}
	}
	deployed(t, "WRIT_SYSTEM", "app")
	d, err := Open(t.Context(), "fanout-task")
	if err != nil {
		t.Fatal(err)
	}
	d.Pack.Systems[0].Connector = "oracle"
	if _, err := d.Bind(); err == nil || !strings.Contains(err.Error(), "oracle") {
		t.Errorf("a connector that is not there: %v", err)
	}
}

// parameters is the parameter store: what it holds, by path.
func parameters(t *testing.T, status int, held map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name           string
			WithDecryption bool
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !in.WithDecryption {
			t.Errorf("asked for %+v, %v", in, err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		value, there := held[in.Name]
		switch {
		case status != http.StatusOK:
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"__type":"InternalServerError"}`))
		case !there:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"ParameterNotFound"}`))
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"Parameter": map[string]string{"Name": in.Name, "Value": value}})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestConfig(t *testing.T) {
	const path = "/writ/pythonmaster/stripe/api_key"
	for _, c := range []struct {
		name   string
		status int
		held   map[string]string
		kind   connector.Kind
	}{
		{"the secret is there", 200, map[string]string{path: "value-of-the-key"}, ""},
		{"it is missing: a person must store it", 200, map[string]string{}, connector.Unauthorized},
		{"it is empty", 200, map[string]string{path: " "}, connector.Unauthorized},
		{"the store is away: the machine tries again", 500, map[string]string{}, connector.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			deployed(t, "WRIT_SYSTEM", "stripe", "WRIT_BASE_STRIPE", "http://127.0.0.1:1", "WRIT_EMULATOR", "1", "AWS_ENDPOINT_URL", parameters(t, c.status, c.held))
			d, err := Open(t.Context(), "fanout-task")
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.Bind()
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := d.Config(t.Context(), b, d.Secrets())
			if connector.KindOf(err) != c.kind {
				t.Fatalf("err = %v, want %s", err, c.kind)
			}
			if err != nil {
				if !strings.Contains(err.Error(), path) {
					t.Errorf("the error does not name the parameter: %v", err)
				}
				return
			}
			if key, err := cfg.Secret("api_key"); err != nil || key != "value-of-the-key" || cfg.System != "stripe" || cfg.BaseURL != "http://127.0.0.1:1" || !cfg.Emulator {
				t.Errorf("configured %s, %v", cfg.System, err)
			}
		})
	}
}

const id = dsr.RequestID("waaaaaaaaaaaaaaaaaaaaaaaaa")

func TestUploads(t *testing.T) {
	store := &objects.Memory{}
	u := &Uploads{store: store, origin: "https://bucket.example"}
	form, err := u.Form(t.Context(), id, "zendesk#gather", "https://writ.example/task?t=x")
	if err != nil {
		t.Fatal(err)
	}
	again, err := u.Form(t.Context(), id, "zendesk#gather", "https://writ.example/task?t=x")
	if err != nil {
		t.Fatal(err)
	}
	key, next := field(form, "key"), field(again, "key")
	if !strings.HasPrefix(key, "uploads/"+string(id)+"/zendesk-gather/") || key == next || form.Origin != "https://bucket.example" {
		t.Errorf("the forms lead to %s and %s", key, next)
	}
	if n, err := u.Take(t.Context(), id, "zendesk", "zendesk#gather", "support"); err != nil || n != 0 {
		t.Errorf("took %d of none, %v", n, err)
	}
	store.Put(key, []byte("first"))
	store.Put(next, []byte("second"))
	store.Put("uploads/"+string(id)+"/zendesk-act/x", []byte("another task's"))
	store.Put("uploads/wbbbbbbbbbbbbbbbbbbbbbbbbb/zendesk-gather/x", []byte("another request's"))
	if n, err := u.Count(t.Context(), id, "zendesk#gather"); err != nil || n != 2 {
		t.Errorf("counted %d, %v", n, err)
	}
	for range 2 { // an answer that is given again takes the same files
		if n, err := u.Take(t.Context(), id, "zendesk", "zendesk#gather", "support"); err != nil || n != 2 {
			t.Fatalf("took %d, %v", n, err)
		}
		parts, err := export.Read(t.Context(), store, export.Uploads("exports/"+string(id)+"/zendesk"))
		if err != nil {
			t.Fatal(err)
		}
		if got := export.Counts(parts)["support"]; got != 2 || len(parts) != 1 {
			t.Errorf("the export counts %d files in %d parts", got, len(parts))
		}
	}
}

func TestUploadsOfAKindThatRunsAreRemoved(t *testing.T) {
	for name, file := range map[string]string{"a program": "\x7fELF\x02\x01\x01\x00\x00", "a page": "<!DOCTYPE html><script>alert(1)</script>", "noise": "\x00\x01\x02\x03\xff\xfe"} {
		t.Run(name, func(t *testing.T) {
			store := &objects.Memory{}
			u := &Uploads{store: store}
			mine := "uploads/" + string(id) + "/zendesk-gather/"
			store.Put(mine+"a", []byte("%PDF-1.7 a document"))
			store.Put(mine+"b", []byte(file))
			if n, err := u.Take(t.Context(), id, "zendesk", "zendesk#gather", "support"); !errors.Is(err, fanout.ErrFileKind) || n != 0 {
				t.Errorf("took %d, %v", n, err)
			}
			for key := range store.List(t.Context(), "") {
				t.Errorf("%s is left", key)
			}
		})
	}
	store := &objects.Memory{}
	u := &Uploads{store: store}
	for kind, file := range map[string]string{"pdf": "%PDF-1.7", "csv": "name,score\nAda,1\n", "json": "{\"a\":1}", "png": "\x89PNG\r\n\x1a\n", "jpeg": "\xff\xd8\xff\xe0", "zip": "PK\x03\x04"} {
		store.Put("uploads/"+string(id)+"/zendesk-gather/"+kind, []byte(file))
	}
	if n, err := u.Take(t.Context(), id, "zendesk", "zendesk#gather", "support"); err != nil || n != 6 {
		t.Errorf("took %d of six, %v", n, err)
	}
}

func field(u fanout.Upload, name string) string {
	for _, f := range u.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// cut is a bucket whose files cannot be read.
type cut struct{ *objects.Memory }

func (cut) Open(context.Context, string) (io.ReadCloser, error) {
	return nil, errors.New("reading: no answer")
}

func TestUploadThatCannotBeReadIsNoAnswer(t *testing.T) {
	store := &objects.Memory{}
	store.Put("uploads/"+string(id)+"/zendesk-gather/x", []byte("x"))
	u := &Uploads{store: cut{store}}
	if n, err := u.Take(t.Context(), id, "zendesk", "zendesk#gather", "support"); err == nil || n != 0 {
		t.Errorf("took %d, %v", n, err)
	}
	for range store.List(t.Context(), "exports/") {
		t.Error("a half-taken export is left")
	}
}
