package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/policy"
)

func TestPricesAreWholeAndStrict(t *testing.T) {
	if _, err := readPrices(pricesTOML); err != nil {
		t.Fatal(err)
	}
	for what, broken := range map[string]string{
		"no date":         strings.Replace(string(pricesTOML), "as_of = 2026-11-22", "", 1),
		"an unknown key":  strings.Replace(string(pricesTOML), "as_of", "colour = 1\nas_of", 1),
		"a lost unit":     strings.Replace(string(pricesTOML), `[unit."kms.request"]`, `[unit."kms.call"]`, 1),
		"a free unit":     strings.Replace(string(pricesTOML), "usd = 0.00016", "usd = 0.0", 1),
		"a missing place": strings.Replace(string(pricesTOML), `source = "https://aws.amazon.com/kms/pricing/"`, `source = ""`, 1),
	} {
		if broken == string(pricesTOML) {
			t.Fatalf("%s: nothing was broken", what)
		}
		if _, err := readPrices([]byte(broken)); err == nil {
			t.Errorf("%s went unnoticed", what)
		}
	}
}

func TestLimitsAreToldAndDirected(t *testing.T) {
	for _, c := range []struct {
		n      number
		missed bool
	}{
		{number{"access_s", 1.5, "s"}, false},
		{number{"access_s", 1.51, "s"}, true},
		{number{"bundle_1gib_mb_per_s", 50, "MB/s"}, false},
		{number{"bundle_1gib_mb_per_s", 49, "MB/s"}, true},
		{number{"something_else", 1e9, ""}, false},
	} {
		if _, missed := c.n.misses(); missed != c.missed || strings.Contains(c.n.line(), "missed") != c.missed {
			t.Errorf("%s: missed %v, want %v", c.n.line(), missed, c.missed)
		}
	}
}

func TestCapacityIsCountedAsBilled(t *testing.T) {
	kilobyte := `{"S":"` + strings.Repeat("x", 1100) + `"}`
	put := `{"TableName":"requests","Item":{"id":{"S":"w1"},"open":{"S":"open"},"due_at":{"S":"2026"},"doc":` + kilobyte + `}}`
	closed := `{"TableName":"requests","Item":{"id":{"S":"w1"},"doc":` + kilobyte + `}}`
	later := strings.Replace(put, "2026", "2027", 1)
	check := `{"ConditionCheck":{"TableName":"requests","Key":{"id":{"S":"w1"}}}}`
	small := `{"Put":{"TableName":"tasks","Item":{"request_id":{"S":"w1"},"task":{"S":"app#gather"}}}}`
	c := capacity{keys: map[string][]string{"requests": {"id"}, "tasks": {"request_id", "task"}}, items: map[string]stored{}}
	for _, step := range []struct {
		what, operation, request, response string
		want                               float64
	}{
		{"a put of two KB, which enters the index", "PutItem", put, `{}`, 3},
		{"the same again: the index stays", "PutItem", put, `{}`, 2},
		{"a new due date moves it in the index", "PutItem", later, `{}`, 4},
		{"it leaves the index", "PutItem", closed, `{}`, 3},
		{"a consistent read", "GetItem", `{"TableName":"requests","ConsistentRead":true}`, `{"Item":{"id":{"S":"w1"},"doc":` + kilobyte + `}}`, 1},
		{"an eventual read of nothing", "GetItem", `{"TableName":"requests"}`, `{}`, 0.5},
		{"a query of five KB", "Query", `{"TableName":"tasks","ConsistentRead":true}`, `{"Items":[` + strings.Repeat(`{"doc":`+kilobyte+`},`, 4) + `{"doc":` + kilobyte + `}]}`, 2},
		{"two found and one not", "BatchGetItem", `{"RequestItems":{"requests":{"ConsistentRead":true,"Keys":[{"id":{"S":"a"}},{"id":{"S":"b"}},{"id":{"S":"c"}}]}}}`, `{"Responses":{"requests":[{"id":{"S":"a"}},{"id":{"S":"b"}}]}}`, 3},
		{"a transaction is billed twice, its check by the item", "TransactWriteItems", `{"TransactItems":[` + check + `,` + small + `]}`, `{}`, 6},
		{"an update", "UpdateItem", `{"TableName":"tasks","Key":{"request_id":{"S":"w1"},"task":{"S":"app#gather"}},"ExpressionAttributeValues":{":a":` + kilobyte + `}}`, `{}`, 2},
		{"a deletion, by what was there", "DeleteItem", `{"TableName":"requests","Key":{"id":{"S":"w1"}}}`, `{}`, 2},
	} {
		got, err := c.count(step.operation, []byte(step.request), []byte(step.response))
		if err != nil || got != step.want {
			t.Errorf("%s: got %g units, %v, want %g", step.what, got, err, step.want)
		}
	}
	if _, err := c.count("PutItem", []byte(`{"TableName":"strange","Item":{}}`), []byte(`{}`)); err == nil {
		t.Error("a table that is not the stack's went unnoticed")
	}
}

// signed makes a call as an SDK signs it.
func signed(t *testing.T, method, target, service, operation, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if operation != "" {
		req.Header.Set("X-Amz-Target", "Some_20120810."+operation)
	}
	return req
}

func TestEveryCallIsPricedOrAnError(t *testing.T) {
	prices, err := readPrices(pricesTOML)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, r.Host+" "+string(body))
		_, _ = io.WriteString(w, `{}`)
	}))
	defer emulator.Close()
	target, err := url.Parse(emulator.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder(prices, target)
	gateway := httptest.NewServer(r)
	defer gateway.Close()
	send := func(req *http.Request) {
		t.Helper()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != `{}` {
			t.Fatalf("the answer did not pass: %q, %v", body, err)
		}
	}
	send(signed(t, "POST", gateway.URL, "kms", "Decrypt", "before"))
	r.begin(map[string][]string{"requests": {"id"}})
	send(signed(t, "POST", gateway.URL, "kms", "Decrypt", "{}"))
	send(signed(t, "POST", gateway.URL, "ssm", "GetParameter", "{}"))
	send(signed(t, "POST", gateway.URL, "ses", "", "Action=SendRawEmail&x=1"))
	send(signed(t, "POST", gateway.URL, "dynamodb", "PutItem", `{"TableName":"requests","Item":{"id":{"S":"w1"}}}`))
	send(signed(t, "PUT", gateway.URL+"/bucket/key", "s3", "", "bytes"))
	send(signed(t, "GET", gateway.URL+"/bucket/?list-type=2", "s3", "", ""))
	download, err := http.NewRequestWithContext(t.Context(), "GET", gateway.URL+"/bucket/key?X-Amz-Credential="+url.QueryEscape("AKIA/20261122/us-east-1/s3/aws4_request"), nil)
	if err != nil {
		t.Fatal(err)
	}
	send(download)
	calls, used, err := r.end()
	if err != nil {
		t.Fatal(err)
	}
	want := units{"kms.request": 2, "ses.message": 1, "dynamodb.write_unit": 1, "s3.write": 2, "s3.read": 1}
	for unit, n := range want {
		if used[unit] != n {
			t.Errorf("%s: %g units, want %g", unit, used[unit], n)
		}
	}
	if len(used) != len(want) || len(calls) != 7 {
		t.Errorf("got %v and %v, want 7 calls", used, calls)
	}
	host := strings.TrimPrefix(gateway.URL, "http://")
	if len(seen) != 8 || seen[3] != host+" Action=SendRawEmail&x=1" {
		t.Errorf("the emulator saw %q, want every call with the host it was signed for", seen)
	}
	r.begin(nil)
	send(signed(t, "POST", gateway.URL, "kms", "Encrypt", "{}"))
	if _, _, err := r.end(); err == nil || !strings.Contains(err.Error(), "kms Encrypt") {
		t.Errorf("a call without a price: got %v, want an error that names it", err)
	}
}

func TestTheBenchCompaniesAreTheSeedWithoutPeople(t *testing.T) {
	seed := filepath.Join("..", "..", "shared", "policy")
	for id, systems := range map[string]int{apisOnly: 3, twenty: 20} {
		dir := t.TempDir()
		if err := os.CopyFS(filepath.Join(dir, "regimes"), os.DirFS(filepath.Join(seed, "regimes"))); err != nil {
			t.Fatal(err)
		}
		files, err := companyFiles(filepath.Join(seed, "companies", seedCompany), id)
		if err != nil {
			t.Fatal(err)
		}
		for name, body := range files {
			if err := keep(filepath.Join(dir, "companies", id, name), body); err != nil {
				t.Fatal(err)
			}
		}
		pack, err := policy.LoadFS(os.DirFS(dir), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(pack.Systems) != systems {
			t.Errorf("%s: %d systems, want %d", id, len(pack.Systems), systems)
		}
		for i, s := range pack.Systems {
			if s.Manual() || s.SystemOfRecord != (i == 0) {
				t.Errorf("%s: system %s is a person's, or of record beside the first", id, s.ID)
			}
		}
	}
}

func TestReadNumbersTakesLinesOnly(t *testing.T) {
	got, err := readNumbers([]byte("a_mb 1.5 MB\nb_s 2 s\n"))
	if err != nil || len(got) != 2 || got[0] != (number{"a_mb", 1.5, "MB"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"a 1\n", "a x MB\n"} {
		if _, err := readNumbers([]byte(bad)); err == nil {
			t.Errorf("%q went unnoticed", bad)
		}
	}
}

func TestZippedIsTheSizeOfAReadableArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, bytes.Repeat([]byte("text that repeats "), 10_000), 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := zipped(path)
	if err != nil || n < 100 || n > 10_000 {
		t.Errorf("got %d bytes, %v, want far fewer than the 180,000 of the file", n, err)
	}
}
