package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/writ-dsr/writ/shared/connector"
)

// KindOfStatus returns the kind of a status that is no success.
func KindOfStatus(status int) connector.Kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return connector.Unauthorized
	case status == http.StatusNotFound, status == http.StatusGone:
		return connector.NotFound
	case status == http.StatusTooManyRequests:
		return connector.RateLimited
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return connector.Unavailable
	}
	return connector.Invalid
}

// longestRetry caps a vendor's hint: nobody parks a request for longer.
const longestRetry = 24 * time.Hour

// RetryAfter reads the header (RFC 9110 section 10.2.3): whole seconds or an
// HTTP date counted from now. What it cannot read, and a date that has passed,
// is zero; the longest answer is 24 hours.
func RetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(longestRetry/time.Second) {
			return longestRetry // only its size can be wrong
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestRetry)
}

// isJSON accepts application/json and the +json types in UTF-8.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// errCut says that an answer ended too early, which trying again may cure.
var errCut = errors.New("the answer ends too early")

func kindOfDecode(err error) connector.Kind {
	if errors.Is(err, errCut) {
		return connector.Unavailable
	}
	return connector.Invalid
}

// decode reads exactly one JSON value. The errors repeat nothing of the body.
func decode(contentType string, body []byte, into any) error {
	if !isJSON(contentType) {
		return errors.New("the answer is not JSON")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errCut
	}
	if !utf8.Valid(body) {
		return errors.New("the answer is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return errCut
		}
		return errors.New("the answer has not the form this call promises")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the answer goes on after its end")
	}
	return nil
}

// networkCause says in our own words why no complete answer came: the texts of
// net/http hold the URL and with it the query. Only the caller's own context
// error stays visible to errors.Is.
func networkCause(ctx context.Context, err error, limit time.Duration) (connector.Kind, error) {
	var refused *egressError
	var dns *net.DNSError
	var timeout net.Error
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return connector.Unavailable, ctx.Err()
	case errors.As(err, &refused):
		return connector.Invalid, refused
	case errors.As(err, &dns):
		return connector.Unavailable, errors.New("the vendor's host name does not resolve")
	case errors.As(err, &record), errors.As(err, &certificate):
		return connector.Unavailable, errors.New("the vendor's certificate cannot be trusted")
	case errors.Is(err, syscall.ECONNREFUSED):
		return connector.Unavailable, errors.New("the vendor refuses connections")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return connector.Unavailable, fmt.Errorf("no complete answer came within %s", limit)
	}
	return connector.Unavailable, errors.New("the connection ended before the answer was complete")
}
