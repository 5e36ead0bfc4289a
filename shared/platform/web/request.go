package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/connector"
)

// MaxBody is the largest body that is read, in bytes after decoding; a longer
// one is answered 413 before anything is parsed.
const MaxBody = 32 << 10

// maxFields keeps a body of nothing but separators from costing more than one
// of text.
const maxFields = 200

// Request is what a handler needs of an API Gateway proxy event. All text is
// valid UTF-8 without NUL; nothing else is promised about it.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Form   url.Values // of a form's body; empty for any other content type
	Source string     // the caller's address: only ever used as a keyed counter key
	Actor  string     // identity of a caller signed by IAM, for /desk; else ""
	Body   []byte
	OptOut bool // the browser sends the opt-out preference signal Sec-GPC: 1 (11 CCR 7025)
}

// Handler answers one request. An error is a fault of ours: the person sees a
// plain page that says nothing about it.
type Handler func(ctx context.Context, r Request) (Response, error)

// Decode reads an event, or answers it: 413 for a body over MaxBody, 415 for a
// content type or charset that is not read here, 400 for what cannot be
// decoded and for a field given twice. Only the fields named in many, such as
// a group of check boxes, may have several values.
func Decode(ev events.APIGatewayProxyRequest, many ...string) (Request, *Response) {
	r := Request{
		Method: ev.HTTPMethod,
		Path:   ev.Path,
		Form:   url.Values{},
		Source: ev.RequestContext.Identity.SourceIP,
		Actor:  ev.RequestContext.Identity.UserArn,
		OptOut: strings.TrimSpace(header(ev, "Sec-GPC")) == "1",
	}
	typ := header(ev, "Content-Type")
	refuse := func(status int, text string) (Request, *Response) {
		answer := plain(status, text, strings.HasPrefix(strings.ToLower(typ), "application/json"))
		return Request{}, &answer
	}

	query := queryOf(ev)
	if wrong := checkFields(query, many); wrong != "" {
		return refuse(http.StatusBadRequest, unread+wrong)
	}
	r.Query = query

	// Base64 makes four characters of three bytes: what is longer than that
	// cannot fit and is refused before it is decoded.
	if len(ev.Body) > MaxBody && (!ev.IsBase64Encoded || len(ev.Body) > base64.StdEncoding.EncodedLen(MaxBody)) {
		return refuse(http.StatusRequestEntityTooLarge, tooLarge)
	}
	r.Body = []byte(ev.Body)
	if ev.IsBase64Encoded {
		var err error
		if r.Body, err = base64.StdEncoding.Strict().DecodeString(ev.Body); err != nil {
			return refuse(http.StatusBadRequest, unread+"its body is not valid base64.")
		}
		if len(r.Body) > MaxBody {
			return refuse(http.StatusRequestEntityTooLarge, tooLarge)
		}
	}
	if len(r.Body) == 0 {
		return r, nil
	}

	media, params, err := mime.ParseMediaType(typ)
	if err != nil {
		return refuse(http.StatusUnsupportedMediaType, unread+"its content type is missing or malformed.")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return refuse(http.StatusUnsupportedMediaType, unread+"its text must be UTF-8.")
	}
	switch media {
	case "application/json":
		if !utf8.Valid(r.Body) {
			return refuse(http.StatusBadRequest, unread+"its body is not valid UTF-8.")
		}
	case "application/x-www-form-urlencoded":
		form, wrong := parseForm(string(r.Body))
		if wrong == "" {
			wrong = checkFields(form, many)
		}
		if wrong != "" {
			return refuse(http.StatusBadRequest, unread+wrong)
		}
		r.Form = form
	default:
		return refuse(http.StatusUnsupportedMediaType, unread+"send it as a form or as JSON.")
	}
	return r, nil
}

const unread = "The request could not be read: "

const tooLarge = "The request is too large: at most 32 KB are read. Shorten the longest field and send it again."

// Adapt makes a handler of Lambda's out of h: it decodes the event, catches a
// panic, and turns errors into one plain page, 503 where trying again can
// help and 500 otherwise. The log gets the error; the caller never does.
func Adapt(h Handler, log *slog.Logger, many ...string) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, ev events.APIGatewayProxyRequest) (out events.APIGatewayProxyResponse, _ error) {
		r, refused := Decode(ev, many...)
		if refused != nil {
			log.WarnContext(ctx, "refused a malformed request", "status", refused.Status)
			return refused.Event(), nil
		}
		asJSON := strings.HasPrefix(strings.ToLower(header(ev, "Content-Type")), "application/json")
		defer func() {
			if p := recover(); p != nil {
				// The value of a panic may quote data; its type and place do not.
				log.ErrorContext(ctx, "a handler panicked", "type", fmt.Sprintf("%T", p), "stack", frames(debug.Stack()))
				out = fault(http.StatusInternalServerError, asJSON).Event()
			}
		}()
		answer, err := h(ctx, r)
		if err != nil {
			status := http.StatusInternalServerError
			if again(err) {
				status = http.StatusServiceUnavailable
			}
			log.ErrorContext(ctx, "answering a request failed", "status", status, "error", err)
			answer = fault(status, asJSON)
		}
		return answer.Event(), nil
	}
}

// again reports whether the same request may succeed a little later.
func again(err error) bool {
	switch connector.KindOf(err) {
	case connector.Unavailable, connector.RateLimited:
		return true
	}
	return false
}

func fault(status int, asJSON bool) Response {
	text := "Something went wrong on our side, and nothing was changed by it as far as we can tell. Please try again in a few minutes."
	r := plain(status, text, asJSON)
	if status == http.StatusServiceUnavailable {
		r.Header["Retry-After"] = "60"
	}
	return r
}

// frames keeps the places of a stack trace and drops the arguments.
func frames(stack []byte) string {
	var places []string
	for line := range strings.Lines(string(stack)) {
		if place, ok := strings.CutPrefix(line, "\t"); ok {
			place, _, _ = strings.Cut(place, " ")
			places = append(places, strings.TrimSpace(place))
		}
	}
	return strings.Join(places[:min(len(places), 12)], " ")
}

func header(ev events.APIGatewayProxyRequest, name string) string {
	for k, v := range ev.Headers {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	for k, v := range ev.MultiValueHeaders {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[len(v)-1]
		}
	}
	return ""
}

// queryOf prefers the form of the query that keeps repeated fields; the other
// keeps only the last of them.
func queryOf(ev events.APIGatewayProxyRequest) url.Values {
	query := url.Values{}
	if len(ev.MultiValueQueryStringParameters) > 0 {
		for k, v := range ev.MultiValueQueryStringParameters {
			query[k] = slices.Clone(v)
		}
	} else {
		for k, v := range ev.QueryStringParameters {
			query.Set(k, v)
		}
	}
	return query
}

// parseForm reads a form's body, or says which field is wrong.
func parseForm(body string) (form url.Values, wrong string) {
	if strings.Count(body, "&") >= maxFields {
		return nil, fmt.Sprintf("it has more than %d fields.", maxFields)
	}
	form, err := url.ParseQuery(body)
	if err == nil {
		return form, ""
	}
	for pair := range strings.SplitSeq(body, "&") {
		if _, err := url.ParseQuery(pair); err != nil {
			name, _, _ := strings.Cut(pair, "=")
			return nil, fieldName(name) + " is not encoded as a form encodes it."
		}
	}
	return nil, "it is not encoded as a form encodes it."
}

// checkFields says which field is wrong, or "".
func checkFields(fields url.Values, many []string) string {
	if len(fields) > maxFields {
		return fmt.Sprintf("it has more than %d fields.", maxFields)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) { // the same request gets the same answer
		if len(fields[name]) > 1 && !slices.Contains(many, name) {
			return fieldName(name) + " was given more than once."
		}
		for _, text := range append([]string{name}, fields[name]...) {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return fieldName(name) + " is not valid text."
			}
		}
	}
	return ""
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,39}$`)

// fieldName names a field in an answer, unless the name itself is odd enough
// to be somebody's content.
func fieldName(name string) string {
	if plainName.MatchString(name) {
		return "the field “" + name + "”"
	}
	return "one of its fields"
}

// plain answers without the stage's templates.
func plain(status int, text string, asJSON bool) Response {
	if asJSON {
		body, _ := json.Marshal(map[string]string{"error": text}) // a map of strings always marshals
		r := Response{Status: status, Header: headers("application/json; charset=utf-8", nil), Body: append(body, '\n')}
		return r
	}
	title := "The request could not be read"
	if status >= http.StatusInternalServerError {
		title = "Something went wrong"
	}
	return bare.Page(status, "plain", View{Title: title, Lead: text})
}
