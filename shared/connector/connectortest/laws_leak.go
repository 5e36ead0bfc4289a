package connectortest

import (
	"bytes"
	"fmt"
	"log"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// canaries: no personal value in an error, a log line, a receipt, an evidence
// or a URL, whether things go well or badly.
func canaries(t testing.TB, s Suite) {
	var logged bytes.Buffer
	defer capture(&logged)()
	clean := func(where string, v any) {
		t.Helper()
		if hit := FindCanary([]byte(fmt.Sprint(v))); hit != "" {
			t.Errorf("%s holds a personal value (%s)", where, who(hit))
		}
	}
	urls := func(op dsr.Op, w *world) {
		t.Helper()
		for _, r := range w.gate.seen() {
			clean(fmt.Sprintf("%s: the path of a URL", op), r.path)
			clean(fmt.Sprintf("%s: the query of a URL", op), s.beyondAllowance(r.query))
		}
	}
	for _, op := range reachable(s) {
		w := open(t, s, dsrtest.Ada)
		f := w.found(dsrtest.Ada)
		if w.gate != nil {
			w.gate.misbehave(answer{})
		}
		r, err := w.do(op, f)
		clean(fmt.Sprintf("%s: the receipt", op), asJSON(r))
		if err != nil {
			clean(fmt.Sprintf("%s: the error", op), err)
		}
		if op == dsr.ReadBack {
			seen, _ := w.conn.ReadBack(t.Context(), w.task(op, dsrtest.Ada, f), connector.Receipt{})
			clean("read_back: the evidence", asJSON(seen))
		}
		if w.gate != nil {
			urls(op, w)
		}
		for _, bad := range misfortunes(s) {
			w := open(t, s, dsrtest.Ada)
			f := w.found(dsrtest.Ada)
			if !bad(w) {
				continue
			}
			r, err := w.do(op, f)
			if err != nil {
				clean(fmt.Sprintf("%s: an error after a fault", op), err)
			}
			clean(fmt.Sprintf("%s: the receipt after a fault", op), asJSON(r))
			if w.gate != nil {
				urls(op, w)
			}
		}
	}
	if logged.Len() > 0 {
		t.Errorf("the driver logs (%d bytes); drivers never do", logged.Len())
	}
	clean("the log", logged.String())
}

// misfortunes are what goes wrong while looking for leaks. Each reports whether
// the store can act it out.
func misfortunes(s Suite) []func(w *world) bool {
	var all []func(w *world) bool
	if s.Transport == Direct {
		for _, f := range []Fault{Refused, Throttled, Down, LoseAnswer, Partial, IgnoreWrites} {
			all = append(all, func(w *world) bool { return w.inject(f) })
		}
		return all
	}
	for _, a := range []answer{
		{mode: instead, status: 400, header: jsonHeader(), body: poison},
		{mode: instead, status: 404, header: jsonHeader(), body: poison},
		{mode: instead, status: 500, header: jsonHeader(), body: poison},
		{mode: instead, status: 200, header: jsonHeader(), body: poison},
		{mode: instead, status: 200, body: dsrtest.Ada.Email},
		{mode: resetBefore},
		{mode: resetAfter},
		{mode: halfBody},
	} {
		all = append(all, func(w *world) bool { w.gate.misbehave(a); return true })
	}
	return all
}

// beyondAllowance drops from a query what the suite allows and returns the rest
// in clear.
func (s Suite) beyondAllowance(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		return query
	}
	for key := range s.InURL {
		values.Del(key)
	}
	return values.Encode()
}

// capture sends the process's logs to b until the function returned is called.
func capture(b *bytes.Buffer) (restore func()) {
	old, writer, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(b, nil)))
	log.SetOutput(b)
	return func() {
		slog.SetDefault(old)
		log.SetOutput(writer)
		log.SetFlags(flags)
	}
}

// declaredHosts: every call goes through Config.Transport, to the base URL that
// was configured or, without one, to a host the descriptor declares; and a
// redirect leads nowhere else.
func declaredHosts(t testing.TB, s Suite) {
	visit := func(override bool, a answer, allowed func(host string) bool) bool {
		t.Helper()
		for _, op := range reachable(s) {
			w := openAt(t, s, override, dsrtest.Ada)
			f := w.found(dsrtest.Ada)
			w.gate.misbehave(a)
			if _, err := w.do(op, f); err != nil && a.mode == honest {
				t.Errorf("%s: %v", op, err)
			}
			for _, r := range w.gate.seen() {
				switch {
				case r.host == "":
					t.Errorf("%s: %s went round Config.Transport", op, r.method)
					return false
				case override && "http://"+r.host != w.gate.server.URL,
					!override && !allowed(r.host):
					t.Errorf("%s: the driver calls %s, which is not declared", op, r.host)
				}
			}
		}
		return true
	}
	declared := func(host string) bool { return s.declares(host) }
	if !visit(true, answer{}, declared) {
		return // without the transport the vendor's real host would be called
	}
	away := answer{mode: instead, status: 307, header: map[string][]string{"Location": {"https://collector.elsewhere.example/take"}}}
	visit(true, away, declared)
	if len(s.Descriptor.Hosts) > 0 {
		visit(false, answer{}, declared)
	}
}

// declares reports whether the descriptor's hosts cover host.
func (s Suite) declares(host string) bool {
	host, _, _ = strings.Cut(host, ":")
	return slices.ContainsFunc(s.Descriptor.Hosts, func(pattern string) bool {
		ok, err := path.Match(pattern, host)
		return err == nil && ok
	})
}
