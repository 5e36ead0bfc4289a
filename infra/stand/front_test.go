package stand

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/writ-dsr/writ/infra/stand/inbox"
)

func TestFrontPassesPagesOnOnceDeployed(t *testing.T) {
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "http://elsewhere.example/")
		w.WriteHeader(http.StatusSeeOther)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}))
	t.Cleanup(emulator.Close)
	f, server := openFront(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func() (int, string, string) {
		resp, err := client.Post(server+"/confirm?t=a%2Bb", "application/x-www-form-urlencoded", strings.NewReader("code=X"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), resp.Header.Get("Location")
	}
	if status, body, _ := ask(); status != http.StatusServiceUnavailable || !strings.Contains(body, "being deployed") {
		t.Errorf("before the deployment: got %d %q", status, body)
	}
	target, err := pagesURL(emulator.URL, "abc")
	if err != nil {
		t.Fatal(err)
	}
	f.serve(target)
	status, body, location := ask()
	if status != http.StatusSeeOther || body != "POST /restapis/abc/live/_user_request_/confirm?t=a%2Bb code=X" || location != "http://elsewhere.example/" {
		t.Errorf("got %d %q, redirected to %q", status, body, location)
	}
	if _, err := pagesURL(emulator.URL, ""); err == nil {
		t.Error("a deployment without an API must be an error")
	}
}

func TestInboxShowsAHostileMailInACage(t *testing.T) {
	f, server := openFront(t)
	hostile := "Subject: <script>1</script>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p onclick=\"x\">\"quoted\" <script>alert(1)</script></p>\r\n"
	for _, to := range []string{"ada@learner.example", "ben@learner.example"} {
		if err := smtp.SendMail(f.mail.Addr(), nil, "a@example.org", []string{to}, []byte(hostile)); err != nil {
			t.Fatal(err)
		}
	}
	page, header := get(t, server+"/inbox?to=ada%40learner.example")
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	frames, scripts := 0, 0
	for n := range root.Descendants() {
		switch n.Data {
		case "script":
			scripts++
		case "iframe":
			frames++
			if sandbox := attribute(n, "sandbox"); strings.Contains(sandbox, "allow-scripts") || strings.Contains(sandbox, "allow-same-origin") || sandbox == "" {
				t.Errorf("the frame's sandbox is %q", sandbox)
			}
			if !strings.Contains(attribute(n, "srcdoc"), `<script>alert(1)</script>`) {
				t.Error("the frame does not hold the mail as it was sent")
			}
		}
	}
	if frames != 1 || scripts != 0 {
		t.Errorf("got %d frames and %d scripts on the page, want the one mail to ada in a frame and no script", frames, scripts)
	}
	if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("Content-Security-Policy: %q", policy)
	}

	listed, _ := get(t, server+"/inbox.json")
	var mails []map[string]any
	if err := json.Unmarshal([]byte(listed), &mails); err != nil {
		t.Fatal(err)
	}
	if len(mails) != 2 || mails[0]["to"] != "ada@learner.example" || mails[1]["subject"] != "<script>1</script>" {
		t.Errorf("got %v", mails)
	}
	for _, field := range []string{"to", "subject", "text", "html", "at"} {
		if _, there := mails[0][field]; !there {
			t.Errorf("a mail of the list lacks %q", field)
		}
	}
}

func TestEmptyInboxIsAnEmptyList(t *testing.T) {
	_, server := openFront(t)
	if listed, _ := get(t, server+"/inbox.json"); strings.TrimSpace(listed) != "[]" {
		t.Errorf("got %q, want []", listed)
	}
}

func openFront(t *testing.T) (*front, string) {
	t.Helper()
	mail, err := inbox.Open(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mail.Close() })
	f := newFront(mail)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server.URL
}

func get(t *testing.T, address string) (string, http.Header) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.Header
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
