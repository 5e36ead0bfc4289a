package stand

import (
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/writ-dsr/writ/infra/stand/inbox"
)

//go:embed inbox.html
var inboxHTML string

var inboxPage = template.Must(template.New("inbox").Parse(inboxHTML))

// front serves the deployed pages at one short address, so that the links in
// the mails work, and beside them the mails.
type front struct {
	mail  *inbox.Inbox
	pages atomic.Pointer[httputil.ReverseProxy]
	mux   *http.ServeMux
}

func newFront(mail *inbox.Inbox) *front {
	f := &front{mail: mail, mux: http.NewServeMux()}
	f.mux.HandleFunc("GET /inbox", f.inbox)
	f.mux.HandleFunc("GET /inbox.json", f.inboxJSON)
	f.mux.HandleFunc("/", f.deployed)
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

// pagesURL is where the emulator serves the deployed API.
func pagesURL(endpoint, api string) (*url.URL, error) {
	if api == "" {
		return nil, errors.New("the deployment has no output RestApiId: its pages cannot be found")
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	u.Path = "/restapis/" + api + "/" + stage + "/_user_request_"
	return u, nil
}

// serve begins to pass requests on to the deployed pages.
func (f *front) serve(target *url.URL) {
	f.pages.Store(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
	}})
}

func (f *front) deployed(w http.ResponseWriter, r *http.Request) {
	pages := f.pages.Load()
	if pages == nil {
		http.Error(w, "The stack is being deployed. Try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	pages.ServeHTTP(w, r)
}

func (f *front) inboxJSON(w http.ResponseWriter, _ *http.Request) {
	messages, err := f.mail.Messages()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if messages == nil {
		messages = []inbox.Message{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(messages)
}

// shown is a mail on the inbox page. The document of its frame opens links in
// a new tab: the frame itself is sandboxed and may do nothing.
type shown struct {
	inbox.Message
	Frame string
}

func (f *front) inbox(w http.ResponseWriter, r *http.Request) {
	messages, err := f.mail.Messages()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	to := r.URL.Query().Get("to")
	page := struct {
		To         string
		Mails      []shown
		Recipients []string
	}{To: to}
	for _, m := range slices.Backward(messages) {
		if !slices.Contains(page.Recipients, m.To) {
			page.Recipients = append(page.Recipients, m.To)
		}
		if to == "" || m.To == to {
			page.Mails = append(page.Mails, shown{Message: m, Frame: `<base target="_blank">` + m.HTML})
		}
	}
	slices.Sort(page.Recipients)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'")
	_ = inboxPage.Execute(w, page)
}
