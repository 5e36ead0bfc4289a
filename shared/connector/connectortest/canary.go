package connectortest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// FindCanary reports the first value of the synthetic cast that text holds, in
// any of the forms a leak takes: as it is, lower case, escaped for a URL,
// base64 at any offset, hex; or "" when there is none.
func FindCanary(text []byte) string { return find(text, dsrtest.Canaries()) }

// find reports the first of values that text holds in any form.
func find(text []byte, values []string) string {
	lower := bytes.ToLower(text)
	for _, v := range values {
		if bytes.Contains(lower, []byte(strings.ToLower(v))) {
			return v
		}
		for _, form := range escapes(v) {
			if bytes.Contains(lower, []byte(strings.ToLower(form))) {
				return v
			}
		}
		for _, form := range encodings(v) {
			if bytes.Contains(text, []byte(form)) {
				return v
			}
		}
	}
	return ""
}

// escapes are the forms that keep their meaning whatever their case.
func escapes(v string) []string {
	return []string{
		url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)),
		url.QueryEscape(strings.ToLower(v)), hex.EncodeToString([]byte(strings.ToLower(v))),
	}
}

// encodings are the base64 forms of v wherever it starts inside a longer text:
// the first and last characters, which depend on the neighbours, are cut off.
func encodings(v string) []string {
	var forms []string
	for _, s := range []string{v, strings.ToLower(v)} {
		for offset := range 3 {
			padded := append(bytes.Repeat([]byte{0}, offset), s...)
			whole := len(padded) / 3 * 3
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := enc.EncodeToString(padded[:whole])
				if offset > 0 && len(text) > 4 {
					text = text[4:]
				}
				forms = append(forms, text)
			}
		}
	}
	return forms
}

// valuesOf lists what a person of the cast is recognised by.
func valuesOf(people ...dsrtest.Person) []string {
	var all []string
	for _, p := range people {
		all = append(all, p.Name, p.Email, p.Phone, p.City)
	}
	return all
}
