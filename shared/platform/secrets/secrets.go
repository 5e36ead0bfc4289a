// Package secrets reads the systems' credentials from the parameter store, at
// run time and with a short memory, so that a rotated key is used within
// minutes and none is part of a deployment.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// ErrMissing is found by errors.Is where a parameter is not there or is empty.
var ErrMissing = errors.New("the secret is missing")

// life is how long a value is remembered.
const life = 5 * time.Minute

// API is what Store needs of the parameter store; *ssm.Client has it.
type API interface {
	GetParameter(ctx context.Context, in *ssm.GetParameterInput, opts ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
}

// Store reads secrets. It is safe for use by several goroutines.
type Store struct {
	api API
	now func() time.Time

	mu    sync.Mutex
	known map[string]value
}

type value struct {
	text string
	till time.Time
}

// New returns the secrets as of the clock now.
func New(api API, now func() time.Time) *Store {
	return &Store{api: api, now: now, known: map[string]value{}}
}

// Get returns the secret that the parameter path holds, for example
// /writ/<company>/<system>/<name>. Errors name the path and never the value;
// ErrMissing, which is not remembered.
func (s *Store) Get(ctx context.Context, path string) (string, error) {
	if !strings.HasPrefix(path, "/writ/") {
		return "", fmt.Errorf("reading secret %s: it lies outside /writ/", path)
	}
	if text, fresh := s.recall(path); fresh {
		return text, nil
	}
	out, err := s.api.GetParameter(ctx, &ssm.GetParameterInput{Name: &path, WithDecryption: aws.Bool(true)})
	var absent *types.ParameterNotFound
	switch {
	case errors.As(err, &absent):
		return "", missing(path)
	case err != nil:
		return "", fmt.Errorf("reading secret %s: %w", path, err)
	case out.Parameter == nil || strings.TrimSpace(aws.ToString(out.Parameter.Value)) == "":
		return "", missing(path)
	}
	text := strings.TrimSpace(*out.Parameter.Value)
	s.remember(path, text)
	return text, nil
}

func missing(path string) error {
	return fmt.Errorf("reading secret %s: %w; store it as a SecureString parameter", path, ErrMissing)
}

func (s *Store) recall(path string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, there := s.known[path]
	return v.text, there && s.now().Before(v.till)
}

func (s *Store) remember(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[path] = value{text, s.now().Add(life)}
}
