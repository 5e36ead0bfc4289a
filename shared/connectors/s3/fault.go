package s3

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/writ-dsr/writ/shared/connector"
)

// kinds of the codes that S3 answers with; the status decides for the others.
var kinds = map[string]connector.Kind{
	"AccessDenied": connector.Unauthorized, "AllAccessDisabled": connector.Unauthorized, "AccountProblem": connector.Unauthorized,
	"InvalidAccessKeyId": connector.Unauthorized, "SignatureDoesNotMatch": connector.Unauthorized, "InvalidSecurity": connector.Unauthorized,
	"ExpiredToken": connector.Unauthorized, "InvalidToken": connector.Unauthorized, "TokenRefreshRequired": connector.Unauthorized,
	"SlowDown": connector.RateLimited, "TooManyRequests": connector.RateLimited, "RequestLimitExceeded": connector.RateLimited,
	"Throttling": connector.RateLimited, "ThrottlingException": connector.RateLimited, "BandwidthLimitExceeded": connector.RateLimited,
	"NoSuchKey": connector.NotFound, "NoSuchVersion": connector.NotFound, "NoSuchUpload": connector.NotFound, "NoSuchTagSet": connector.NotFound,
	"NoSuchBucket":       connector.Invalid, // the system names a bucket that is not there: that is no empty bucket
	"InvalidObjectState": connector.Invalid, // archived: a person must restore it first
	"InternalError":      connector.Unavailable, "ServiceUnavailable": connector.Unavailable, "OperationAborted": connector.Unavailable,
	"RequestTimeout": connector.Unavailable,
}

var word = regexp.MustCompile(`^[A-Za-z]{1,50}$`)

// kindOf classifies an answer of S3.
func kindOf(code string, status int) connector.Kind {
	if k, known := kinds[code]; known {
		return k
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return connector.Unauthorized
	case status == http.StatusTooManyRequests:
		return connector.RateLimited
	case status >= 500:
		return connector.Unavailable
	}
	return connector.Invalid
}

// fault turns an error of the SDK into ours. The SDK's text may name keys, so
// only the code is taken from it. A write whose answer is missing, or an error
// of the server's own, may have had its effect.
func fault(ctx context.Context, err error, write bool) error {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		if ctx.Err() != nil {
			return &connector.Error{Kind: connector.Unavailable, Sent: write, Err: ctx.Err()}
		}
		return &connector.Error{Kind: connector.Unavailable, Sent: write, Err: errors.New("calling S3: no complete answer came")}
	}
	e := &connector.Error{}
	status := 0
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		status = response.HTTPStatusCode()
		if seconds, err := strconv.Atoi(response.Response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			e.RetryAfter = time.Duration(seconds) * time.Second
		}
	}
	e.Kind = kindOf(answer.ErrorCode(), status)
	e.Sent = write && e.Kind == connector.Unavailable
	if e.Kind != connector.RateLimited {
		e.RetryAfter = 0
	}
	code := answer.ErrorCode()
	if !word.MatchString(code) {
		code = "an unknown code"
	}
	e.Err = errors.New("calling S3: it answers " + code)
	return e
}
