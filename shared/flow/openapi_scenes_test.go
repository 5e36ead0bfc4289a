package flow_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/web"
)

// unknown is a well-formed secret that nobody was given.
var unknown = strings.Repeat("A", 43)

func TestTheHandlersAnswerAsDescribed(t *testing.T) {
	d := newDriver(t)
	d.form()
	id, status := d.confirm()
	d.disown()
	d.download(id)
	d.progress(id, status)
	d.undo()
	d.task()
	d.desk(id)
	d.malformed()

	var missing []string
	for path, item := range d.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for code := range op.Responses.Map() {
				if _, err := strconv.Atoi(code); err == nil && !d.seen[method+" "+path+" "+code] {
					missing = append(missing, method+" "+path+" "+code)
				}
			}
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("described, and never answered: %s", strings.Join(missing, ", "))
	}
}

func (d *driver) form() {
	d.do(call{method: http.MethodGet, path: "/", want: 200})
	d.unfit("/", 400, "rights", "access")
	d.unfit("/", 400, "email", "nobody", "rights", "access")
	d.post("/", 400, "email", dsrtest.Ben.Email) // only a report about a child needs no tick
	d.unfit("/", 400, "email", dsrtest.Ben.Email, "rights", "everything")
	d.unfit("/", 400, "email", dsrtest.Ben.Email, "rights", "access", "country", "Germany")
	d.unfit("/", 400, "email", dsrtest.Ben.Email, "rights", "access", "name", strings.Repeat("n", 201))
	d.unfit("/", 400, "email", dsrtest.Ben.Email, "rights", "access", "message", strings.Repeat("m", 4001))
	d.post("/", 400, "email", dsrtest.Ben.Email, "rights", "other") // without words
	d.post("/", 200, "email", dsrtest.Ben.Email, "rights", "access", "rights", "other", "message", strings.Repeat("é", 4000))

	for _, f := range []struct {
		err  error
		want int
	}{{errors.New("hashing: no"), 500}, {&connector.Error{Kind: connector.Unavailable, Err: errors.New("hashing: later")}, 503}} {
		d.hash.fail = f.err
		d.post("/", f.want, "email", dsrtest.Ben.Email, "rights", "access")
		d.do(call{path: "/desk/holds/show", body: `{"address":"` + dsrtest.Ben.Email + `"}`, typ: "application/json", actor: "arn:aws:iam::1:user/olga", want: f.want})
	}
	d.hash.fail = nil
}

// confirm proves Ada's request and returns her status link.
func (d *driver) confirm() (dsr.RequestID, string) {
	id, code := d.ask(dsrtest.Ada, "access", "erasure")
	confirm := d.secret(d.last(dsrtest.Ada.Email), "confirm")
	d.get("/confirm", unknown, 404)
	d.get("/confirm", confirm, 200)
	d.post("/confirm", 404, "t", unknown, "code", code, "confirm", "yes")
	d.unfit("/confirm", 400, "t", confirm, "code", code)
	d.unfit("/confirm", 400, "t", confirm, "confirm", "yes")
	d.unfit("/confirm", 404, "code", code, "confirm", "yes")
	d.post("/confirm", 400, "t", confirm, "code", "7777-7777", "confirm", "yes")
	status := d.secret(d.post("/confirm", 200, "t", confirm, "code", " "+strings.ToLower(code), "confirm", "yes"), "status")
	d.get("/confirm", confirm, 410)
	d.post("/confirm", 410, "t", confirm, "code", code, "confirm", "yes")
	return id, status
}

func (d *driver) disown() {
	d.ask(dsrtest.AdaPlus, "erasure")
	disown := d.secret(d.last(dsrtest.AdaPlus.Email), "not-me")
	d.get("/not-me", unknown, 404)
	d.get("/not-me", disown, 200)
	d.post("/not-me", 404, "t", unknown, "word", "not me")
	d.unfit("/not-me", 400, "t", disown)
	d.post("/not-me", 400, "t", disown, "word", "hello")
	d.post("/not-me", 200, "t", disown, "word", "Not  me")
	d.get("/not-me", disown, 410)
	d.post("/not-me", 410, "t", disown, "word", "not me")
}

func (d *driver) download(id dsr.RequestID) {
	secret := d.token(id, ledger.TokenDownload, "")
	d.get("/download", secret, 410) // nothing is built yet
	d.change(id, func(r *ledger.Request) {
		r.Bundle = &ledger.Bundle{Files: []ledger.BundleFile{{Key: "bundles/" + string(id) + "/1.zip"}, {Key: "bundles/" + string(id) + "/2.zip"}}, DeliveredAt: d.now, Due: d.now.Add(time.Hour)}
	})
	found := dsr.Visit{RequestID: id, System: "zendesk", Phase: dsr.Gather, Status: dsr.VisitSettled, Categories: []string{"support"}, Outcomes: []dsr.Outcome{{Category: "support", Kind: dsr.Exported, Count: 1}}}
	if err := d.store.PlanVisits(context.Background(), []dsr.Visit{found}); err != nil {
		d.t.Fatal(err)
	}
	d.get("/download", unknown, 404)
	d.get("/download", secret, 200)
	d.post("/download", 404, "t", unknown, "step", "send")
	d.post("/download", 400, "t", secret, "step", "fetch")
	d.post("/download", 200, "t", secret, "step", "send")
	code := d.code(d.last(dsrtest.Ada.Email))
	d.post("/download", 400, "t", secret, "step", "fetch", "code", "7777-7777")
	d.post("/download", 400, "t", secret, "step", "fetch", "code", code, "part", "3")
	d.unfit("/download", 400, "t", secret, "step", "fetch", "code", code, "part", "0")
	d.post("/download", 303, "t", secret, "step", "fetch", "code", code, "part", "2")
	for range 4 {
		d.post("/download", 200, "t", secret, "step", "send")
	}
	d.post("/download", 429, "t", secret, "step", "send")
	d.now = d.now.Add(90 * time.Minute)
	d.post("/download", 410, "t", secret, "step", "send")
	d.now = d.now.Add(-90 * time.Minute)
}

func (d *driver) progress(id dsr.RequestID, secret string) {
	d.get("/status", unknown, 404)
	d.get("/status", secret, 200)
	d.post("/status", 404, "t", unknown, "step", "resend")
	d.post("/status", 200, "t", secret)
	d.post("/status", 400, "t", secret, "step", "withdraw", "word", "no")
	for range 3 {
		d.post("/status", 200, "t", secret, "step", "resend")
	}
	d.post("/status", 429, "t", secret, "step", "resend")
	d.post("/status", 200, "t", secret, "step", "withdraw", "word", "Withdraw ")
	d.post("/status", 409, "t", secret, "step", "withdraw", "word", "withdraw")
	d.now = d.now.Add(200 * 24 * time.Hour)
	d.get("/status", secret, 410)
	d.post("/status", 410, "t", secret, "step", "resend")
	d.now = d.now.Add(-200 * 24 * time.Hour)
	if r, err := d.store.Request(context.Background(), id); err != nil || r.Status != dsr.Withdrawn {
		d.t.Errorf("the request is %s, %v; want withdrawn", r.Status, err)
	}
}

// undo takes back what was stopped without a proof.
func (d *driver) undo() {
	known := d.requests()
	d.do(call{method: http.MethodGet, path: "/", query: url.Values{"rights": {"complaint"}, "reference": {string(known[0])}}, want: 200})
	d.post("/", 200, "email", dsrtest.AdaUpper.Email, "rights", "objection_marketing")
	for _, id := range d.requests() {
		if slices.Contains(known, id) {
			continue
		}
		secret := d.token(id, ledger.TokenStatus, "")
		d.post("/status", 400, "t", secret, "step", "undo", "word", "yes")
		d.post("/status", 200, "t", secret, "step", "undo", "word", "Not me")
		d.post("/status", 409, "t", secret, "step", "undo", "word", "not me")
		d.undone = id
	}
}

func (d *driver) task() {
	id, _ := d.ask(dsrtest.AdaDomain, "access")
	d.change(id, func(r *ledger.Request) { r.Status, r.VerifiedAt, r.Planned = dsr.Running, d.now, true })
	ops := map[dsr.Phase][]dsr.Op{dsr.Gather: {dsr.Locate, dsr.Export}, dsr.Act: {dsr.Erase}}
	visit := func(system string, phase dsr.Phase) dsr.Visit {
		return dsr.Visit{
			RequestID: id, System: system, Phase: phase, Manual: true, Categories: []string{"support"}, Status: dsr.VisitWithPerson, Ops: ops[phase],
			Person: &dsr.PersonTask{Assignee: "support_lead", Instruction: system, Cause: connector.CauseManual, OpenedAt: d.now, Due: d.now.Add(48 * time.Hour)},
		}
	}
	if err := d.store.PlanVisits(context.Background(), []dsr.Visit{visit("zendesk", dsr.Gather), visit("intercom", dsr.Gather), visit("zendesk", dsr.Act)}); err != nil {
		d.t.Fatal(err)
	}
	lead, _ := d.company.Assignee("support_lead")
	secret := d.token(id, ledger.TokenTask, "zendesk#gather")
	d.get("/task", unknown, 404)
	d.get("/task", secret, 200)
	d.post("/task", 404, "t", unknown, "step", "send")
	d.unfit("/task", 400, "t", secret)
	d.unfit("/task", 400, "t", secret, "step", "peek")
	d.post("/task", 400, "t", secret, "step", "open")
	d.post("/task", 200, "t", secret, "step", "send")
	code := d.code(d.last(lead))
	d.post("/task", 400, "t", secret, "step", "open", "code", "7777-7777")
	d.post("/task", 200, "t", secret, "step", "open", "code", code)
	d.post("/task", 400, "t", secret, "step", "answer", "code", code)
	d.unfit("/task", 400, "t", secret, "step", "answer", "code", code, "answer", "perhaps")
	d.post("/task", 400, "t", secret, "step", "answer", "code", code, "answer", "uploaded") // no file has arrived
	d.uploads.files = 2
	d.post("/task", 200, "t", secret, "step", "answer", "code", code, "answer", "uploaded")
	d.get("/task", secret, 410)
	d.post("/task", 410, "t", secret, "step", "send")

	other := d.token(id, ledger.TokenTask, "intercom#gather")
	for range 5 {
		d.post("/task", 200, "t", other, "step", "send")
	}
	d.post("/task", 429, "t", other, "step", "send")

	held := d.token(id, ledger.TokenTask, "zendesk#act")
	d.post("/task", 200, "t", held, "step", "send")
	hold := ledger.Hold{Key: ledger.HoldOnCategory("support"), Reason: "file 2026-14", By: "arn", At: d.now}
	if err := d.store.PlaceHold(context.Background(), hold); err != nil {
		d.t.Fatal(err)
	}
	d.post("/task", 409, "t", held, "step", "open", "code", d.code(d.last(lead)))
	if err := d.store.ProposeLift(context.Background(), hold.Key, ledger.DefaultMatter, ledger.Lift{By: "arn"}); err != nil {
		d.t.Fatal(err)
	}
	if err := d.store.LiftHold(context.Background(), hold.Key, ledger.DefaultMatter, "another"); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) desk(id dsr.RequestID) {
	const olga, omar = "arn:aws:iam::111122223333:user/olga", "arn:aws:iam::111122223333:user/omar"
	act := func(want int, actor, path, body string, unfit ...bool) string {
		d.t.Helper()
		return d.do(call{path: "/desk/" + path, body: body, typ: "application/json", actor: actor, want: want, unfit: len(unfit) > 0})
	}
	for _, key := range []string{`"request_id":"` + string(id) + `"`, `"category":"payments"`, `"address":"` + dsrtest.Ada.Email + `"`} {
		hold := act(201, olga, "holds/place", `{`+key+`,"reason":"file 2026-14"}`)
		if strings.Contains(hold, dsrtest.Ada.Email) {
			d.t.Error("the hold repeats the address")
		}
		act(409, olga, "holds/place", `{`+key+`,"reason":"file 2026-14"}`)
		act(200, omar, "holds/show", `{`+key+`}`)
		act(200, omar, "holds/list", `{}`)
		act(202, olga, "holds/lift", `{`+key+`,"reason":"settled"}`)
		act(403, olga, "holds/lift", `{`+key+`,"reason":"settled"}`)
		act(200, omar, "holds/lift", `{`+key+`,"reason":"settled"}`)
		act(404, omar, "holds/lift", `{`+key+`,"reason":"settled"}`)
		act(404, omar, "holds/show", `{`+key+`}`)
	}
	act(201, olga, "holds/place", `{"category":"payments","reason":"file 14","matter":"2026-014"}`)
	act(200, omar, "holds/list", `{"matter":"2026-014"}`)
	act(202, olga, "holds/lift", `{"matter":"2026-014","reason":"settled"}`)
	act(200, omar, "holds/lift", `{"matter":"2026-014","reason":"settled"}`)
	act(400, olga, "holds/list", `{"matter":"A v. B"}`, true)
	for _, path := range []string{"holds/place", "holds/lift", "holds/show"} {
		act(400, olga, path, `{"reason":"nothing named"}`, true)
		act(400, olga, path, `{"category":"payments","address":"a@b.example","reason":"two named"}`, true)
		act(400, olga, path, `{"request_id":"w1","reason":"no id"}`, true)
		act(400, olga, path, `{"subject":"x"}`, true)
	}
	act(404, olga, "holds/place", `{"request_id":"w`+strings.Repeat("a", 25)+`","reason":"no such request"}`)
	act(400, olga, "holds/place", `{"category":"payments"}`, true)
	act(400, olga, "holds/place", `{"category":"payments","reason":" "}`, true)
	act(400, olga, "holds/place", `{"category":"gossip","reason":"x"}`)

	d.proof(act)

	later := ledger.Request{ID: ledger.NewRequestID(), Channel: ledger.ChannelDeferral, Status: dsr.Scheduled, Parent: id, DueAt: d.now.AddDate(7, 0, 0),
		Scope: []ledger.Portion{{System: "app", Categories: []string{"payments"}, Ground: "us_tax_records"}}}
	if err := d.store.CreateRequest(context.Background(), later, ledger.SealedSubject{RequestID: later.ID}, dsr.Event{RequestID: later.ID, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: d.now}); err != nil {
		d.t.Fatal(err)
	}
	if list := act(200, olga, "requests/scheduled", `{"request_id":"`+string(id)+`"}`); !strings.Contains(list, string(later.ID)) {
		d.t.Errorf("what is scheduled is %s", list)
	}
	act(200, olga, "requests/scheduled", `{}`)
	act(400, olga, "requests/scheduled", `{"request_id":"w1"}`, true)
	act(200, olga, "requests/list", `{}`)
	act(400, olga, "requests/list", `{"status":"open"}`, true)
	visits := 0
	for _, id := range d.requests() {
		visits += strings.Count(act(200, olga, "requests/show", `{"request_id":"`+string(id)+`"}`), `"phase"`)
	}
	if visits != 4 {
		d.t.Errorf("%d visits were shown, want the 3 of the task and the one of the copy", visits)
	}
	act(404, olga, "requests/show", `{"request_id":"w`+strings.Repeat("a", 25)+`"}`)
	act(400, olga, "requests/show", `{"request":"w"}`, true)
	act(400, olga, "requests/show", `{"request_id":""}`, true)
	if chain := act(200, olga, "requests/events", `{"request_id":"`+string(id)+`"}`); !strings.Contains(chain, `"received"`) {
		d.t.Errorf("the request's chain is %s", chain)
	}
	act(200, olga, "requests/events", `{"request_id":"`+string(id)+`","chain":"zendesk"}`) // nothing happened there
	act(400, olga, "requests/events", `{}`, true)
	for path := range d.doc.Paths.Map() {
		if act, ok := strings.CutPrefix(path, "/desk/"); ok {
			d.do(call{path: "/desk/" + act, body: `{}`, typ: "application/json", want: 403, unfit: true})
			d.do(call{path: "/desk/" + act, body: "{\"reason\":\"\xff\"}", typ: "application/json", actor: olga, want: 400})
		}
	}
}

// proof decides, asks and extends at the desk.
func (d *driver) proof(act func(want int, actor, path, body string, unfit ...bool) string) {
	const olga = "arn:aws:iam::111122223333:user/olga"
	d.now = d.now.Add(2 * time.Hour)                                                 // one challenge an hour
	id, code := d.fill(dsrtest.Ben, "rights", "rectification", "correct_phone", "4") // an address: facts are compared
	request := `"request_id":"` + string(id) + `"`
	decide := `{` + request + `,"sufficient":true,"reason":"facts_match"}`
	act(409, olga, "proof/show", `{`+request+`}`) // nothing is to be decided
	act(409, olga, "proof/decide", decide)
	act(409, olga, "questions/ask", `{`+request+`,"kind":"clarification","question":"Which of the two?"}`)
	d.post("/confirm", 400, "t", d.secret(d.last(dsrtest.Ben.Email), "confirm"), "code", code, "confirm", "yes", "point_phone", "3")
	d.post("/confirm", 200, "t", d.secret(d.last(dsrtest.Ben.Email), "confirm"), "code", code, "confirm", "yes", "point_phone", "3", "no_more", "yes")
	act(200, olga, "proof/show", `{`+request+`}`)
	act(400, olga, "proof/decide", `{`+request+`,"sufficient":true,"reason":"looks_fine"}`, true)
	act(400, olga, "proof/decide", `{`+request+`,"reason":"facts_match"}`, true)
	act(200, olga, "proof/decide", decide)
	act(409, olga, "proof/decide", decide)

	act(400, olga, "questions/ask", `{`+request+`,"kind":"age","question":"How old are you?"}`, true)
	act(400, olga, "questions/given", `{`+request+`}`, true)
	act(409, olga, "questions/given", `{`+request+`,"kind":"identity"}`)
	act(200, olga, "questions/ask", `{`+request+`,"kind":"identity","question":"Your mail came from two places.","least":"The month you joined."}`)
	act(200, olga, "questions/given", `{`+request+`,"kind":"identity"}`)
	act(400, olga, "extend", `{"request_id":"w1","reason":"complexity"}`, true)
	act(409, olga, "extend", `{`+request+`,"reason":"complexity"}`) // the company's promise is never extended
	for path, rest := range map[string]string{
		"proof/show": ``, "proof/decide": `,"sufficient":true,"reason":"facts_match"`, "questions/ask": `,"kind":"clarification","question":"x"`,
		"questions/given": `,"kind":"clarification"`, "extend": `,"reason":"complexity"`,
	} {
		act(404, olga, path, `{"request_id":"w`+strings.Repeat("a", 25)+`"`+rest+`}`)
		act(400, olga, path, `{"request_id":""`+rest+`}`, true)
	}

	act(409, olga, "stops/lift", `{`+request+`,"purpose":"sale"}`) // nothing was stopped
	act(400, olga, "stops/lift", `{"request_id":"","purpose":"sale"}`, true)
	act(404, olga, "stops/lift", `{"request_id":"w`+strings.Repeat("a", 25)+`"}`)
	act(200, olga, "stops/lift", `{"request_id":"`+string(d.undone)+`"}`)

	promised := d.company.Promises
	d.company.Promises = nil // a company that promised nothing may extend
	defer func() { d.company.Promises = promised }()
	act(200, olga, "extend", `{`+request+`,"reason":"complexity"}`)
}

// malformed sends what no handler reads, to every operation.
func (d *driver) malformed() {
	for path, item := range d.doc.Paths.Map() {
		if item.Get != nil && path != "/" {
			d.do(call{method: http.MethodGet, path: path, query: url.Values{"t": {unknown, unknown}}, want: 400})
		}
		typ := formType
		if strings.HasPrefix(path, "/desk/") {
			typ = "application/json"
		} else {
			d.do(call{path: path, body: "t=a&t=b", typ: typ, want: 400})
			d.do(call{path: path, body: "t=%zz", typ: typ, want: 400, unfit: true})
		}
		d.do(call{path: path, body: strings.Repeat("x", web.MaxBody+1), typ: typ, actor: "arn", want: 413})
		d.do(call{path: path, body: "hello", typ: "text/plain", actor: "arn", want: 415, unfit: true})
		d.do(call{path: path, body: "t=a", typ: typ + "; charset=latin1", actor: "arn", want: 415})
	}
}
