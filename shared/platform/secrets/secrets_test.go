package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/writ-dsr/writ/shared/platform/secrets"
)

const canary = "sk_zq7canary"

var _ secrets.API = (*ssm.Client)(nil)

// parameters is the parameter store: values by path, and what was asked for.
type parameters struct {
	mu     sync.Mutex
	values map[string]string
	asked  []string
	err    error
}

func (p *parameters) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, *in.Name)
	if p.err != nil {
		return nil, p.err
	}
	v, there := p.values[*in.Name]
	if !there {
		return nil, fmt.Errorf("operation error: %w", &types.ParameterNotFound{})
	}
	if !aws.ToBool(in.WithDecryption) {
		v = "ciphertext"
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Value: &v}}, nil
}

func TestGetRemembersFiveMinutes(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	p := &parameters{values: map[string]string{"/writ/example/stripe/api_key": canary + "\n"}}
	s := secrets.New(p, "example", func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		calls int
		want  string
	}{
		{0, 1, canary}, {time.Minute, 1, canary}, {5*time.Minute - 1, 1, canary}, {5 * time.Minute, 2, "rotated"}, {9 * time.Minute, 2, "rotated"},
	} {
		now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).Add(step.after)
		got, err := s.Get(t.Context(), "stripe", "api_key")
		if err != nil || got != step.want || len(p.asked) != step.calls {
			t.Errorf("after %s: got %q after %d calls, %v; want %q after %d", step.after, got, len(p.asked), err, step.want, step.calls)
		}
		p.values["/writ/example/stripe/api_key"] = "rotated"
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	p := &parameters{values: map[string]string{"/writ/example/crm/empty": " ", "/writ/example/crm/key": canary}}
	s := secrets.New(p, "example", time.Now)
	found, err := s.All(t.Context(), "crm", []string{"key", "none", "empty"})
	if !errors.Is(err, secrets.ErrMissing) {
		t.Fatalf("got %v, want ErrMissing", err)
	}
	for path, named := range map[string]bool{"/writ/example/crm/none": true, "/writ/example/crm/empty": true, "/writ/example/crm/key": false} {
		if strings.Contains(err.Error(), path) != named {
			t.Errorf("the error names %s: want %v: %v", path, named, err)
		}
	}
	if strings.Contains(err.Error(), canary) || len(found) != 1 || found["key"] != canary {
		t.Errorf("found %d secrets with error %v", len(found), err)
	}
	p.values["/writ/example/crm/none"] = "now there"
	if got, err := s.Get(t.Context(), "crm", "none"); err != nil || got != "now there" {
		t.Errorf("a missing secret is remembered as missing: %v", err)
	}
}

func TestFaultIsNotMissing(t *testing.T) {
	p := &parameters{err: errors.New("the store is down")}
	_, err := secrets.New(p, "example", time.Now).Get(t.Context(), "crm", "key")
	if err == nil || errors.Is(err, secrets.ErrMissing) || !errors.Is(err, p.err) || !strings.Contains(err.Error(), "/writ/example/crm/key") {
		t.Errorf("got %v", err)
	}
}

func TestNamesCannotReachElsewhere(t *testing.T) {
	p := &parameters{values: map[string]string{"/writ/example/crm/../other/key": canary}}
	s := secrets.New(p, "example", time.Now)
	for _, name := range []string{"../other/key", "", "a/b"} {
		if _, err := s.Get(t.Context(), "crm", name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	if len(p.asked) != 0 {
		t.Errorf("the store was asked for %v", p.asked)
	}
}
