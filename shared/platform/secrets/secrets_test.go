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

const path = "/writ/example/stripe/api_key"

func TestGetRemembersFiveMinutes(t *testing.T) {
	begin := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	now := begin
	p := &parameters{values: map[string]string{path: canary + "\n"}}
	s := secrets.New(p, func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		calls int
		want  string
	}{
		{0, 1, canary}, {time.Minute, 1, canary}, {5*time.Minute - 1, 1, canary}, {5 * time.Minute, 2, "rotated"}, {9 * time.Minute, 2, "rotated"},
	} {
		now = begin.Add(step.after)
		got, err := s.Get(t.Context(), path)
		if err != nil || got != step.want || len(p.asked) != step.calls {
			t.Errorf("after %s: got %q after %d calls, %v; want %q after %d", step.after, got, len(p.asked), err, step.want, step.calls)
		}
		p.values[path] = "rotated"
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for name, values := range map[string]map[string]string{"absent": {}, "empty": {path: " "}} {
		p := &parameters{values: values}
		s := secrets.New(p, time.Now)
		if _, err := s.Get(t.Context(), path); !errors.Is(err, secrets.ErrMissing) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrMissing with the path", name, err)
		}
		p.values[path] = canary
		if got, err := s.Get(t.Context(), path); err != nil || got != canary {
			t.Errorf("%s: a missing secret is remembered as missing: %v", name, err)
		}
	}
}

func TestFaultIsNotMissing(t *testing.T) {
	p := &parameters{err: errors.New("the store is down")}
	_, err := secrets.New(p, time.Now).Get(t.Context(), path)
	if err == nil || errors.Is(err, secrets.ErrMissing) || !errors.Is(err, p.err) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyOurParametersAreRead(t *testing.T) {
	p := &parameters{values: map[string]string{"/other/key": canary}}
	if _, err := secrets.New(p, time.Now).Get(t.Context(), "/other/key"); err == nil || len(p.asked) != 0 {
		t.Errorf("got %v after asking for %v", err, p.asked)
	}
}
