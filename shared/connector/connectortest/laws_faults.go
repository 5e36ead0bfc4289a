package connectortest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// poison is a vendor's text with personal values in it, as error bodies have.
var poison = `{"error":{"type":"invalid_request_error","code":"conformance","message":"no such customer: ` + dsrtest.Ada.Email + ` ` + dsrtest.Ada.Name + `"}}`

// refusal is a status with the kinds a driver may make of it.
type refusal struct {
	name   string
	answer answer
	kinds  []connector.Kind
	after  time.Duration // the RetryAfter to report
}

func refusals() []refusal {
	status := func(code int, kinds ...connector.Kind) refusal {
		return refusal{name: fmt.Sprint("status ", code), answer: answer{mode: instead, status: code, header: jsonHeader(), body: poison}, kinds: kinds}
	}
	retry := func(r refusal, value string, after time.Duration) refusal {
		r.name += " with Retry-After " + value
		r.answer.header = jsonHeader()
		r.answer.header.Set("Retry-After", value)
		r.after = after
		return r
	}
	return []refusal{
		status(400, connector.Invalid),
		status(401, connector.Unauthorized),
		status(403, connector.Unauthorized),
		status(409, connector.Invalid, connector.Unavailable, connector.RateLimited),
		status(422, connector.Invalid),
		status(429, connector.RateLimited),
		retry(status(429, connector.RateLimited), "7", 7*time.Second),
		retry(status(429, connector.RateLimited), Now.Add(90*time.Second).Format(http.TimeFormat), 90*time.Second),
		status(500, connector.Unavailable),
		status(502, connector.Unavailable),
		status(503, connector.Unavailable),
		status(504, connector.Unavailable),
		{name: "broken connection", answer: answer{mode: resetBefore}, kinds: []connector.Kind{connector.Unavailable}},
	}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// reachable are the ops that go by API.
func reachable(s Suite) []dsr.Op {
	return slices.DeleteFunc(dsr.Ops(), func(op dsr.Op) bool { return !s.Descriptor.Can(op) })
}

// faultToKind: each way a vendor refuses has its Kind, in every op.
func faultToKind(t testing.TB, s Suite) {
	if s.Transport == Direct {
		directFaults(t, s)
		return
	}
	for _, op := range reachable(s) {
		for _, r := range refusals() {
			w := open(t, s, dsrtest.Ada)
			f := w.found(dsrtest.Ada)
			w.gate.misbehave(r.answer)
			_, err := w.do(op, f)
			w.kind(fmt.Sprintf("%s, %s", op, r.name), err, r.kinds...)
			var e *connector.Error
			if errors.As(err, &e) && e.Kind == connector.RateLimited && e.RetryAfter != r.after {
				t.Errorf("%s, %s: the driver asks to wait %s, the vendor %s", op, r.name, e.RetryAfter, r.after)
			}
		}
	}
}

// directFaults is faultToKind for a store that acts faults out itself.
func directFaults(t testing.TB, s Suite) {
	t.Helper()
	for fault, kind := range map[Fault]connector.Kind{
		Refused: connector.Unauthorized, Throttled: connector.RateLimited, Down: connector.Unavailable,
	} {
		for _, op := range reachable(s) {
			w := open(t, s, dsrtest.Ada)
			f := w.found(dsrtest.Ada)
			if !w.inject(fault) {
				break
			}
			_, err := w.do(op, f)
			w.kind(fmt.Sprintf("%s, %s", op, fault), err, kind)
		}
	}
	if !s.Descriptor.Can(dsr.Erase) {
		return
	}
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	if !w.inject(Partial) {
		return
	}
	if _, err := w.erase(dsrtest.Ada, f); err == nil {
		t.Error("erase: the vendor refused one record inside a successful answer, and the driver reports success")
	}
}

// kind checks the kind of an error.
func (w *world) kind(where string, err error, kinds ...connector.Kind) {
	w.t.Helper()
	switch {
	case err == nil:
		w.t.Errorf("%s: the driver reports success", where)
	case !slices.Contains(kinds, connector.KindOf(err)):
		w.t.Errorf("%s: the driver says %s, it must say %v", where, connector.KindOf(err), kinds)
	}
}

// everyCallCounts: whichever of an op's calls is refused, the op fails: a 400
// to one delete among ten is no success.
func everyCallCounts(t testing.TB, s Suite) {
	for _, op := range reachable(s) {
		w := open(t, s, dsrtest.Ada)
		f := w.found(dsrtest.Ada)
		w.gate.misbehave(answer{})
		if _, err := w.do(op, f); err != nil {
			t.Errorf("%s, nothing refused: %v", op, err)
			continue
		}
		for n := range w.gate.seen() {
			for status, kind := range map[int]connector.Kind{400: connector.Invalid, 500: connector.Unavailable} {
				w := open(t, s, dsrtest.Ada)
				f := w.found(dsrtest.Ada)
				w.gate.misbehave(answer{mode: instead, nth: n + 1, status: status, header: jsonHeader(), body: poison})
				_, err := w.do(op, f)
				w.kind(fmt.Sprintf("%s, status %d to its call %d", op, status, n+1), err, kind)
			}
		}
	}
}

// unknownEffect: when the answer to a write is lost, the error says that the
// call went out, and doing it again changes nobody else and ends well.
func unknownEffect(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada, dsrtest.Ben)
	f := w.found(dsrtest.Ada)
	if s.Transport == HTTP {
		w.gate.misbehave(answer{mode: resetAfter, writes: true})
	} else if !w.inject(LoseAnswer) {
		return
	}
	before := w.snapshot(dsrtest.Ben)
	_, err := w.erase(dsrtest.Ada, f)
	var e *connector.Error
	switch {
	case err == nil:
		t.Error("erasing: the answer to a write was lost, and the driver reports success")
	case !errors.As(err, &e) || e.Kind != connector.Unavailable:
		t.Errorf("erasing: the answer to a write was lost, and the driver says %s", connector.KindOf(err))
	case !e.Sent:
		t.Error("erasing: the answer to a write was lost, and the error does not say that the call was sent")
	}
	if s.Transport == HTTP {
		w.gate.misbehave(answer{})
	} else {
		w.inject(NoFault)
	}
	if _, err := w.erase(dsrtest.Ada, f); err != nil {
		t.Errorf("erasing again after a lost answer: %v", err)
	}
	if w.snapshot(dsrtest.Ben) != before {
		t.Error("erasing again after a lost answer changed another person's records")
	}
}

// nonsense: an answer that is not what the call promises is no answer.
func nonsense(t testing.TB, s Suite) {
	inside := s.ErrorBody
	if inside == "" {
		inside = poison
	}
	html := http.Header{"Content-Type": {"text/html"}}
	page := "<html><body>We are down for maintenance, " + dsrtest.Ada.Email + "</body></html>"
	bad := map[string]answer{
		"HTML with status 200":      {mode: instead, status: 200, header: html, body: page},
		"HTML called JSON":          {mode: instead, status: 200, header: jsonHeader(), body: page},
		"an error with status 200":  {mode: instead, status: 200, header: jsonHeader(), body: inside},
		"nothing with status 200":   {mode: instead, status: 200, header: jsonHeader()},
		"half of the answer":        {mode: halfBody},
		"a redirect to a login":     {mode: instead, status: 302, header: http.Header{"Location": {"https://login.elsewhere.example/"}}},
		"an empty object":           {mode: instead, status: 200, header: jsonHeader(), body: "{}"},
		"a list in place of object": {mode: instead, status: 200, header: jsonHeader(), body: "[]"},
	}
	for _, op := range reachable(s) {
		for name, a := range bad {
			w := open(t, s, dsrtest.Ada)
			f := w.found(dsrtest.Ada)
			w.gate.misbehave(a)
			_, err := w.do(op, f)
			w.kind(fmt.Sprintf("%s, answered by %s", op, name), err, connector.Invalid, connector.Unavailable)
		}
	}
}

// repeatedPage: a list whose pages repeat is neither walked for ever nor called
// complete.
func repeatedPage(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	w.gate.misbehave(answer{mode: firstPage})
	_, _, err := w.export(dsrtest.Ada, f)
	if n := len(w.gate.seen()); n > tooMany {
		t.Errorf("exporting, each page the first one: the driver asked %d times and did not stop", n)
	}
	w.kind("exporting, each page the first one", err, connector.Invalid, connector.Unavailable)
}

// pendingByJob: work in progress is looked at by its id, and starting is done
// once.
func pendingByJob(t testing.TB, s Suite) {
	for _, op := range reachable(s) {
		if s.Descriptor.Ops[op] != "async" {
			continue
		}
		w := open(t, s, dsrtest.Ada)
		task := w.task(op, dsrtest.Ada, w.found(dsrtest.Ada))
		run := w.op(op, &sink{})
		_, err := run(t.Context(), task)
		var e *connector.Error
		if !errors.As(err, &e) || e.Kind != connector.Pending || e.Job == "" {
			t.Errorf("%s is async: its first call must answer Pending with a job and answers %v", op, err)
			continue
		}
		started := w.snapshot(dsrtest.Person{})
		task.Job = e.Job
		if w.gate != nil {
			w.gate.misbehave(answer{})
		}
		_, err = run(t.Context(), task)
		var again *connector.Error
		if !errors.As(err, &again) || again.Kind != connector.Pending || again.Job != e.Job {
			t.Errorf("%s: looking at an unfinished job must answer Pending with the same job and answers %v", op, err)
		}
		if w.gate != nil && slices.ContainsFunc(w.gate.seen(), func(r request) bool { return !r.read() }) {
			t.Errorf("%s: looking at a job sends a write", op)
		}
		if w.snapshot(dsrtest.Person{}) != started {
			t.Errorf("%s: looking at a job changed the store", op)
		}
		s.FinishJobs(t, w.store)
		if _, err := w.drive(task, run); err != nil {
			t.Errorf("%s: the job ended, and the driver answers: %v", op, err)
		}
	}
}

// cancellation: a cancelled op ends at once with an error and sends nothing
// more.
func cancellation(t testing.TB, s Suite) {
	for _, op := range reachable(s) {
		w := open(t, s, dsrtest.Ada)
		f := w.found(dsrtest.Ada)
		before := w.snapshot(dsrtest.Person{})
		if w.gate != nil {
			w.gate.misbehave(answer{})
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.op(op, &sink{})(ctx, w.task(op, dsrtest.Ada, f)); err == nil {
			t.Errorf("%s: cancelled before it began, and it reports success", op)
		}
		if w.gate != nil && len(w.gate.seen()) > 0 {
			t.Errorf("%s: cancelled before it began, and it sent %d calls", op, len(w.gate.seen()))
		}
		if w.snapshot(dsrtest.Person{}) != before {
			t.Errorf("%s: cancelled before it began, and the store changed", op)
		}
		if w.gate != nil && !cancelInFlight(t, s, op) {
			return
		}
	}
}

// patience is how long a driver that does not hear a cancellation is waited
// for; one that hears it never costs that time.
const patience = 2 * time.Second

// cancelInFlight cancels while the vendor does not answer, and reports whether
// the driver heard it.
func cancelInFlight(t testing.TB, s Suite, op dsr.Op) bool {
	t.Helper()
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	w.gate.misbehave(answer{mode: hang})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	deaf := make(chan bool, 1)
	go func() {
		select {
		case <-w.gate.waiting:
			cancel()
		case <-ended:
		}
		select {
		case <-ended:
		case <-time.After(patience):
			w.gate.release()
			<-ended
			deaf <- true
			return
		}
		deaf <- false
	}()
	_, err := w.op(op, &sink{})(ctx, w.task(op, dsrtest.Ada, f))
	close(ended)
	if <-deaf {
		t.Errorf("%s: cancelled while it waited, and it went on waiting", op)
		return false
	}
	if err == nil {
		t.Errorf("%s: cancelled while it waited, and it reports success", op)
	}
	if n := len(w.gate.seen()); n > 1 {
		t.Errorf("%s: cancelled while it waited, and it sent %d more calls", op, n-1)
	}
	return true
}
