package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Error is the service's refusal. It keeps the code alone: the message may
// repeat what was sent.
type Error struct {
	Action string // for example SendTaskSuccess
	Code   string // for example TaskTimedOut
	Status int
}

// Error names the call, the code and the HTTP status.
func (e *Error) Error() string {
	return fmt.Sprintf("calling Step Functions %s: %s (status %d)", e.Action, e.Code, e.Status)
}

// Is makes errors.Is(err, ErrGone) true for a task token that nobody waits on.
func (e *Error) Is(target error) bool {
	if target != ErrGone {
		return false
	}
	switch e.Code {
	case "TaskTimedOut", "TaskDoesNotExist", "InvalidToken":
		return true
	}
	return false
}

func hasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// again reports whether the call may have another try: every call here has its
// effect once by its name or token.
func (e *Error) again() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || strings.HasPrefix(e.Code, "Throttling")
}

// client signs and sends the calls.
type client struct {
	http        aws.HTTPClient
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	region      string
	endpoint    string
	now         func() time.Time
	firstPause  time.Duration
}

const (
	service   = "states"
	tries     = 4
	maxAnswer = 16 << 20 // bytes: a page of history with its data
)

func newClient(cfg aws.Config, now func() time.Time) client {
	c := client{
		http: cfg.HTTPClient, credentials: cfg.Credentials, signer: v4.NewSigner(), region: cfg.Region,
		endpoint: endpoint(cfg), now: now, firstPause: 200 * time.Millisecond,
	}
	if c.http == nil {
		c.http = awshttp.NewBuildableClient()
	}
	return c
}

func endpoint(cfg aws.Config) string {
	if own := os.Getenv("AWS_ENDPOINT_URL_SFN"); own != "" {
		return own
	}
	if cfg.BaseEndpoint != nil && *cfg.BaseEndpoint != "" {
		return *cfg.BaseEndpoint
	}
	suffix := ""
	if strings.HasPrefix(cfg.Region, "cn-") {
		suffix = ".cn"
	}
	return "https://" + service + "." + cfg.Region + ".amazonaws.com" + suffix
}

// call sends one action, up to a few times where the service is busy or the
// network fails, and reads the answer into out unless out is nil.
func (c client) call(ctx context.Context, action string, in map[string]string, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("calling Step Functions %s: %w", action, err)
	}
	for try := 0; ; try++ {
		err := c.send(ctx, action, body, out)
		var refusal *Error
		if err == nil || ctx.Err() != nil || try == tries-1 || errors.Is(err, errFinal) || (errors.As(err, &refusal) && !refusal.again()) {
			return err
		}
		timer := time.NewTimer(rand.N(c.firstPause << try))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// errFinal marks what another try cannot mend.
var errFinal = errors.New("not to be tried again")

func (c client) send(ctx context.Context, action string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling Step Functions %s: the endpoint is no address: %w", action, errFinal)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AWSStepFunctions."+action)
	if c.credentials == nil {
		return fmt.Errorf("calling Step Functions %s: there are no AWS credentials: %w", action, errFinal)
	}
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("calling Step Functions %s: getting AWS credentials: %w", action, err)
	}
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), service, c.region, c.now()); err != nil {
		return fmt.Errorf("calling Step Functions %s: signing: %w", action, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("calling Step Functions %s: %w", action, err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("calling Step Functions %s: reading the answer: %w", action, err)
	}
	if answer.StatusCode != http.StatusOK {
		return &Error{Action: action, Code: code(answer, content), Status: answer.StatusCode}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("calling Step Functions %s: the answer is not what was expected: %w", action, errFinal)
	}
	return nil
}

// code finds the name of a refusal, without the namespace some answers put
// before it.
func code(answer *http.Response, content []byte) string {
	var body struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(content, &body) // an answer of a proxy has none
	name := body.Type
	if name == "" {
		name, _, _ = strings.Cut(answer.Header.Get("X-Amzn-Errortype"), ":")
	}
	if name == "" {
		return "Unknown"
	}
	return name[strings.LastIndexByte(name, '#')+1:]
}
