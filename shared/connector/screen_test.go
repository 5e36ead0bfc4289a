package connector_test

import (
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
)

type rows []string

func (r *rows) Row(_ context.Context, _, _ string, row json.RawMessage) error {
	*r = append(*r, string(row))
	return nil
}

func (r *rows) File(context.Context, string, string, string, io.Reader) error { return nil }

func TestScreened(t *testing.T) {
	for name, c := range map[string]struct{ row, want string }{
		"keys keep their order":          {`{"z":1,"a":{"y":[1,2],"b":null}}`, `{"z":1,"a":{"y":[1,2],"b":null}}`},
		"numbers keep their digits":      {`{"n":1.10,"big":12345678901234567890}`, `{"n":1.10,"big":12345678901234567890}`},
		"markup stays":                   {`{"n":"<b>&"}`, `{"n":"<b>&"}`},
		"password":                       {`{"Password_Hash":"$2a$10$x"}`, `{"Password_Hash":"[withheld: password]"}`},
		"nothing there is no secret":     {`{"password":"","pin":null,"cvc":false}`, `{"password":"","pin":null,"cvc":false}`},
		"a whole object":                 {`{"passport":{"no":"X1"}}`, `{"passport":"[withheld: government id]"}`},
		"a check result is no card code": {`{"cvc_check":"pass"}`, `{"cvc_check":"pass"}`},
		"card number in a text":          {`{"note":"paid by 4242 4242 4242 4242, thanks"}`, `{"note":"paid by [withheld: card number], thanks"}`},
		"two card numbers":               {`{"note":"4242424242424242 or 378282246310005"}`, `{"note":"[withheld: card number] or [withheld: card number]"}`},
		"card number as a number":        {`{"n":5555555555554444}`, `{"n":"[withheld: card number]"}`},
		"card number in a list":          {`{"l":["30569309025904"]}`, `{"l":["[withheld: card number]"]}`},
		"wrong check digit":              {`{"note":"4242424242424241"}`, `{"note":"4242424242424241"}`},
		"milliseconds are no card":       {`{"at":1732266000008}`, `{"at":1732266000008}`},
		"a telephone number is no card":  {`{"tel":"+4242424242424242"}`, `{"tel":"+4242424242424242"}`},
		"an identifier is no card":       {`{"id":"ch_4242424242424242"}`, `{"id":"ch_4242424242424242"}`},
		"no issuer's range":              {`{"n":"9999999999999995"}`, `{"n":"9999999999999995"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var got rows
			if err := connector.Screened(&got).Row(t.Context(), "profile", "people", json.RawMessage(c.row)); err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	var got rows
	for _, bad := range []string{``, `{"a":`, `{} {}`} {
		if err := connector.Screened(&got).Row(t.Context(), "profile", "people", json.RawMessage(bad)); err == nil {
			t.Errorf("%q passes as a row", bad)
		}
	}
	if len(got) != 0 {
		t.Errorf("rows that are not JSON reached the sink: %d", len(got))
	}
}
