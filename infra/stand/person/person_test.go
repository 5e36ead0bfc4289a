package person_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
)

// mailbox is a mailbox that holds what it is given.
type mailbox []inbox.Message

func (b mailbox) Wait(_ context.Context, match func(inbox.Message) bool) (inbox.Message, error) {
	i := slices.IndexFunc(b, match)
	if i < 0 {
		return inbox.Message{}, context.DeadlineExceeded
	}
	return b[i], nil
}

const formPage = `<!doctype html><html lang="en"><body><h1>Your data</h1>
<form method="get" action="/search"><input name="q"></form>
<form method="post" action="./"><input type="hidden" name="v" value="1"><input name="email" type="email" value="">
<input type="checkbox" name="rights" value="access" checked><input type="checkbox" name="rights" value="erasure">
<select name="country"><option value="">Other</option><option value="DE" selected>Germany</option><option>France</option></select>
<textarea name="message">
old</textarea><button name="step" value="send">Send</button></form></body></html>`

func TestAskSendsWhatABrowserWould(t *testing.T) {
	var got string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, formPage) })
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got = r.PostForm.Encode()
		_, _ = fmt.Fprint(w, `<p class="code" id="code">AB12 <span>CD34</span></p>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	p := person.New("ada@learner.example", mailbox{})
	code, err := p.Ask(t.Context(), server.URL, person.Request{Rights: []string{"access", "erasure"}, Country: "France"})
	if err != nil {
		t.Fatal(err)
	}
	if code != "AB12 CD34" {
		t.Errorf("code: got %q", code)
	}
	if want := "country=France&email=ada%40learner.example&message=old&rights=access&rights=erasure&v=1"; got != want {
		t.Errorf("sent %q, want %q: hidden fields and defaults go along, a button not pressed does not", got, want)
	}
	for _, r := range []person.Request{{Rights: []string{"portability"}}, {Rights: []string{"access"}, Name: "Ada"}, {Rights: []string{"access"}, Country: "ZZ"}} {
		if _, err := p.Ask(t.Context(), server.URL, r); err == nil {
			t.Errorf("%+v: a person cannot fill what the form does not offer", r)
		}
	}
}

// A form whose answer shows no code, sent with the opt-out signal and a field
// that only some people fill.
func TestSendTakesAnyAnswer(t *testing.T) {
	signals, got := 0, ""
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-GPC") == "1" {
			signals++
		}
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(w, formPage)
			return
		}
		_ = r.ParseForm()
		got = r.PostForm.Get("message")
		_, _ = fmt.Fprint(w, `<h1>Done</h1>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := person.New("ada@learner.example", mailbox{})
	p.Browser.OptOut = true
	ask := person.Request{Rights: []string{"erasure"}, More: map[string][]string{"message": {"now"}}}
	page, err := p.Send(t.Context(), server.URL, ask)
	if err != nil || page.Heading() != "Done" || got != "now" || signals != 2 {
		t.Errorf("%v, sent %q, %d signals", err, got, signals)
	}
	if _, err := p.Ask(t.Context(), server.URL, ask); err == nil {
		t.Error("Ask takes an answer without a code")
	}
	ask.More["plan"] = []string{"school"}
	if _, err := p.Send(t.Context(), server.URL, ask); err == nil {
		t.Error("a person cannot fill a field that is not there")
	}
}

// What the page asks for beside the code is typed with it.
func TestProveTypesTheFacts(t *testing.T) {
	got := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_ = r.ParseForm()
			got = r.PostForm.Encode()
		}
		_, _ = fmt.Fprint(w, `<h1>Confirm</h1><form method="post" action="/confirm"><input name="code"><input name="point_phone"><input type="checkbox" name="confirm" value="yes"></form>`)
	}))
	t.Cleanup(server.Close)
	p := person.New("ada@learner.example", mailbox{})
	if _, err := p.Prove(t.Context(), server.URL+"/confirm", "AB12", map[string][]string{"point_phone": {"7"}}); err != nil || got != "code=AB12&confirm=yes&point_phone=7" {
		t.Errorf("sent %q, %v", got, err)
	}
}

func TestOnlyAPostChanges(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<h1>Confirm</h1><form action="/confirm"><input name="code"><button name="confirm" value="yes">Confirm</button></form>`)
	}))
	t.Cleanup(server.Close)
	_, err := person.New("ada@learner.example", mailbox{}).Confirm(t.Context(), server.URL, "AB12")
	if err == nil || !strings.Contains(err.Error(), "POST") {
		t.Errorf("got %v, want a complaint that the form sends no POST", err)
	}
}

func TestDownloadTypesTheSecondCode(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	page := func(w http.ResponseWriter) {
		_, _ = fmt.Fprint(w, `<h1>Your copy</h1><form method="post" action="/download"><input type="hidden" name="t" value="T"><button name="step" value="send">Mail me a code</button></form>
<form method="post" action="/download"><input type="hidden" name="t" value="T"><input name="code"></form>`)
	}
	sent, busy := 0, 1
	mux.HandleFunc("GET /download", func(w http.ResponseWriter, _ *http.Request) { page(w) })
	mux.HandleFunc("POST /download", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.PostFormValue("t") != "T":
			w.WriteHeader(http.StatusForbidden)
		case r.PostFormValue("step") == "send":
			sent++
			page(w)
		case r.PostFormValue("code") == "K7QX 2M" && busy > 0:
			busy--
			w.WriteHeader(http.StatusConflict)
		case r.PostFormValue("code") == "K7QX 2M":
			http.Redirect(w, r, "/store/bundle.zip", http.StatusSeeOther)
		default:
			page(w)
		}
	})
	mux.HandleFunc("GET /store/bundle.zip", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "zip") })
	box := mailbox{
		{Index: 0, To: "ada@learner.example", Text: "Your copy is ready:\n" + server.URL + "/download?t=T\n"},
		{Index: 1, To: "ben@learner.example", Text: "Type this code:\n\n    WRONG 1\n"},
		{Index: 2, To: "ada@learner.example", Text: "Type this code:\n\n    K7QX 2M\n"},
	}
	p := person.New("ada@learner.example", box)
	_, link, err := p.Mail(t.Context(), "/download")
	if err != nil {
		t.Fatal(err)
	}
	file, err := p.Download(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if string(file) != "zip" || sent != 1 {
		t.Errorf("got %q after %d codes, want the file after one and a second try", file, sent)
	}
	if _, _, err := p.Mail(t.Context(), "/download"); err == nil {
		t.Error("a mail was read twice")
	}
}

func TestFactsAreTheTermsOfAPage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, `<dl><dt>Sent</dt><dd>%s as %s</dd></dl><dl><dt>Due <i>date</i></dt><dd> 2 May
 2031</dd></dl>`, body, r.Header.Get("Content-Type"))
	}))
	t.Cleanup(server.Close)
	page, err := person.NewBrowser().Post(t.Context(), server.URL, "application/xml", "nothing")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := page.Facts(), map[string]string{"Sent": "nothing as application/xml", "Due date": "2 May 2031"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
