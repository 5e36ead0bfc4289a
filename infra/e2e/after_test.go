//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/shared/platform/checkout"
	"github.com/writ-dsr/writ/shared/platform/machine"
)

// core is in every value of every person of the suite, whatever its case.
const core = "canary"

// needles are the forms in which a value's core may lie in a text that was
// lower-cased (folded), and in one that was not (exact): as it is, URL-encoded,
// which leaves letters alone, hex, and base64 at each of the three places a byte can have.
func needles() (folded, exact []string) {
	folded = []string{core, hex.EncodeToString([]byte(core)), hex.EncodeToString([]byte(strings.ToUpper(core)))}
	for _, word := range []string{core, strings.ToUpper(core), strings.ToUpper(core[:1]) + core[1:]} {
		for before := range 3 {
			encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), word...))
			// The first and last character hold bits of the neighbours.
			first := (before*8 + 5) / 6
			last := (before + len(word)) * 8 / 6
			exact = append(exact, encoded[first:last])
		}
	}
	return folded, exact
}

// leak is where a text holds a person's value, or "" if it holds none: what
// stands around it is told without it.
func leak(text string) string {
	folded, exact := needles()
	lower := strings.ToLower(text)
	for _, in := range []struct {
		text    string
		needles []string
	}{{lower, folded}, {text, exact}} {
		for _, n := range in.needles {
			if at := strings.Index(in.text, n); at >= 0 {
				return fmt.Sprintf("%q", text[max(0, at-120):min(len(text), at+60)])
			}
		}
	}
	return ""
}

// A search that finds nothing proves nothing unless it finds what is there.
func TestNeedlesAreFound(t *testing.T) {
	value := Someone("needle").Email
	for what, text := range map[string]string{
		"as is": value, "upper case": strings.ToUpper(value), "URL": url.QueryEscape(value), "hex": hex.EncodeToString([]byte(value)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(value))), "base64": base64.StdEncoding.EncodeToString([]byte(value)),
		"base64 after one byte": base64.URLEncoding.EncodeToString([]byte("a" + value)), "base64 after two": base64.RawURLEncoding.EncodeToString([]byte("ab" + value)),
		"base64 of upper case": base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(value))),
	} {
		if leak("before "+text+" after") == "" {
			t.Errorf("%s: not found in %q", what, text)
		}
	}
	if found := leak(`{"request_id":"wvhars6vlwlbpck3buojuwxem7","count":4,"hash":"` + strings.Repeat("0123456789abcdef", 400) + `"}`); found != "" {
		t.Errorf("found where there is none: %s", found)
	}
}

// sink takes what the machine hands to the functions.
type sink struct{ dir string }

func newSink() (sink, error) {
	dir, err := os.MkdirTemp("", "writ-e2e-sink-")
	return sink{dir}, err
}

func (s sink) file() string { return filepath.Join(s.dir, "payloads.jsonl") }

func (s sink) remove() error { return os.RemoveAll(s.dir) }

func (s sink) env() []string {
	here, err := filepath.Abs(filepath.Join("testdata", "sink"))
	if err != nil {
		here = "" // then nothing is recorded, and that is told at the end
	}
	return []string{"PYTHONPATH=" + here, "WRIT_E2E_SINK=" + s.file()}
}

// afterwards looks at what all tests left behind: no person's value outside of
// the places made for it, and evidence that is whole.
func (s *Suite) afterwards(ctx context.Context, recorded sink) error {
	var errs []error
	for what, look := range map[string]func(context.Context, func(string)) (int, error){
		"a log": s.eachLogLine, "an execution's history": s.eachHistory, "a table": s.eachItem, "a key of the bucket": s.eachKey, "what a function receives or answers": recorded.each,
	} {
		leaks := map[string]bool{}
		n, err := look(ctx, func(text string) {
			if found := leak(text); found != "" {
				leaks[found] = true
			}
		})
		if !wholeSuite() && errors.Is(err, errUnseen) {
			err = nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("looking for people's values in %s: %w", what, err))
		}
		for _, found := range slices.Sorted(maps.Keys(leaks)) {
			errs = append(errs, fmt.Errorf("%s holds a person's value: %s", what, found))
		}
		fmt.Fprintf(os.Stderr, "looked for people's values in %s: %d places, %d leaks\n", what, n, len(leaks))
	}
	return errors.Join(append(errs, s.audit(ctx))...)
}

// errUnseen says that a look saw less than all tests leave behind; of a few
// tests alone that is no fault.
var errUnseen = errors.New("there was too little to look at")

// wholeSuite reports whether all tests of the package run.
func wholeSuite() bool {
	return flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
}

// enough is errUnseen for a look that saw nothing.
func enough(n int) error {
	if n == 0 {
		return errUnseen
	}
	return nil
}

func (s *Suite) eachLogLine(ctx context.Context, see func(string)) (n int, err error) {
	var all bytes.Buffer
	if err := s.Logs(ctx, &all); err != nil {
		return 0, err
	}
	groups := map[string]bool{}
	lines := bufio.NewScanner(&all)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		see(lines.Text())
		group, _, _ := strings.Cut(lines.Text(), " ")
		groups[group] = true
		n++
	}
	for _, function := range []string{"intake-form", "verify-answer", "fanout-app", "fanout-stripe", "notify-subject"} {
		if !groups["/aws/lambda/Writ-"+s.Pack.ID+"-"+function] {
			return n, fmt.Errorf("%w: there is no log of %s", errUnseen, function)
		}
	}
	return n, lines.Err()
}

func (s *Suite) eachHistory(ctx context.Context, see func(string)) (n int, err error) {
	for _, status := range []machine.ExecutionStatus{machine.Running, machine.Succeeded, machine.Failed, machine.Aborted} {
		for e, err := range s.Machine.List(ctx, status) {
			if err != nil {
				return n, err
			}
			described, err := s.Machine.Describe(ctx, e.ARN)
			if err != nil {
				return n, err
			}
			see(fmt.Sprintf("%+v", described))
			for event, err := range s.Machine.History(ctx, e.ARN) {
				if err != nil {
					return n, err
				}
				see(string(event))
				n++
			}
		}
	}
	return n, enough(n)
}

func (s *Suite) eachItem(ctx context.Context, see func(string)) (n int, err error) {
	client := dynamodb.NewFromConfig(s.Config)
	for output, table := range s.Outputs {
		if !strings.HasPrefix(output, "Table") {
			continue
		}
		pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String(table)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return n, err
			}
			for _, item := range page.Items {
				for name, value := range item {
					see(name + " " + plain(value))
				}
				n++
			}
		}
	}
	return n, enough(n)
}

// plain is an attribute's value as text, binary values byte for byte.
func plain(v dynamotypes.AttributeValue) string {
	switch v := v.(type) {
	case *dynamotypes.AttributeValueMemberS:
		return v.Value
	case *dynamotypes.AttributeValueMemberB:
		return string(v.Value)
	case *dynamotypes.AttributeValueMemberN:
		return v.Value
	}
	return fmt.Sprintf("%+v", v)
}

func (s *Suite) eachKey(ctx context.Context, see func(string)) (n int, err error) {
	pages := s3.NewListObjectsV2Paginator(s.Objects(), &s3.ListObjectsV2Input{Bucket: aws.String(s.Outputs["Bucket"])})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, err
		}
		for _, o := range page.Contents {
			see(aws.ToString(o.Key))
			n++
		}
	}
	return n, enough(n)
}

func (s sink) each(_ context.Context, see func(string)) (n int, err error) {
	f, err := os.Open(s.file())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errUnseen
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	functions := map[string]bool{}
	for lines := bufio.NewReader(f); ; n++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
		var call struct{ Function, Way string }
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			return n, err
		}
		see(line)
		if call.Way == "in" {
			functions[call.Function[strings.LastIndexAny(call.Function, ":")+1:]] = true
		}
	}
	if len(functions) < 7 {
		return n, fmt.Errorf("%w: the machine called only %v", errUnseen, slices.Sorted(maps.Keys(functions)))
	}
	return n, nil
}

// audit runs the command over all evidence: it is whole, and one edited event
// shows.
func (s *Suite) audit(ctx context.Context) error {
	said, err := s.verify(ctx)
	if err != nil {
		return fmt.Errorf("the evidence is not whole: %w\n%s", err, said)
	}
	if !wholeSuite() && strings.Count(said, ": intact") == 0 {
		return nil
	}
	if strings.Count(said, ": intact") == 0 || strings.Contains(said, "CHANGED") {
		return fmt.Errorf("the audit saw no evidence: %s", said)
	}
	client, table := dynamodb.NewFromConfig(s.Config), aws.String(s.Outputs["TableEvents"])
	page, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: table, Limit: aws.Int32(1)})
	if err != nil {
		return fmt.Errorf("reading an event to edit it: %w", err)
	}
	if len(page.Items) != 1 {
		return errors.New("reading an event to edit it: there is none")
	}
	item := page.Items[0]
	doc, ok := item["doc"].(*dynamotypes.AttributeValueMemberS)
	if !ok || strings.Count(doc.Value, `"kind":"`) != 1 {
		return errors.New("the event to be edited is not as expected")
	}
	doc.Value = strings.Replace(doc.Value, `"kind":"`, `"kind":"un`, 1)
	if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: item}); err != nil {
		return err
	}
	said, err = s.verify(ctx)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || strings.Count(said, ": CHANGED") != 1 {
		return fmt.Errorf("an edited event did not show (%v):\n%s", err, said)
	}
	return nil
}

// verify is `writ audit verify --all`, as the privacy officer runs it.
func (s *Suite) verify(ctx context.Context) (said string, err error) {
	root, err := checkout.Root()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "./cmd/writ", "audit", "verify", "--all", "--company", s.Pack.ID)
	cmd.Dir = root
	operator, err := s.Config.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "AWS_") }),
		"AWS_ENDPOINT_URL="+s.AWS, "AWS_REGION="+s.Config.Region, "AWS_ACCESS_KEY_ID="+operator.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+operator.SecretAccessKey)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// keepLogs saves what the functions logged, for whoever looks for the cause.
func (s *Suite) keepLogs(ctx context.Context) error {
	f, err := os.CreateTemp("", "writ-e2e-functions-*.log")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "what the functions logged is in "+f.Name())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(s.Logs(ctx, f), f.Close())
}
