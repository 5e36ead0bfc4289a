package export

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Reason is why a value was withheld: a closed word.
type Reason string

// The kinds of data that never leave, whoever asks: disclosing them would harm
// the person more than the copy helps (GDPR Art. 32; PCI DSS forbids keeping a
// card's verification code at all).
const (
	CardNumber   Reason = "card_number"
	CardCode     Reason = "card_verification_code"
	Credential   Reason = "credential"
	GovernmentID Reason = "government_id"
)

// text is what stands in place of a withheld value.
func (r Reason) text() string { return "[withheld: " + strings.ReplaceAll(string(r), "_", " ") + "]" }

// forbidden are field names, in lower-case letters and digits alone.
var forbidden = map[string]Reason{
	"cvv": CardCode, "cvv2": CardCode, "cvc": CardCode, "cvc2": CardCode, "cvn": CardCode,
	"cardcvv": CardCode, "cardcvc": CardCode, "cardverificationvalue": CardCode, "cardverificationcode": CardCode, "cardsecuritycode": CardCode,

	"cardnumber": CardNumber, "creditcardnumber": CardNumber, "debitcardnumber": CardNumber, "primaryaccountnumber": CardNumber,

	"passwd": Credential, "pwd": Credential, "passphrase": Credential, "passcode": Credential,
	"apikey": Credential, "apisecret": Credential, "clientsecret": Credential, "privatekey": Credential, "secretkey": Credential,
	"accesstoken": Credential, "refreshtoken": Credential, "idtoken": Credential, "sessiontoken": Credential, "authtoken": Credential,
	"totpsecret": Credential, "mfasecret": Credential, "otpsecret": Credential, "recoverycodes": Credential, "securityanswer": Credential,

	"ssn": GovernmentID, "socialsecuritynumber": GovernmentID, "socialinsurancenumber": GovernmentID, "nationalid": GovernmentID,
	"nationalidnumber": GovernmentID, "nationalidentificationnumber": GovernmentID, "nationalinsurancenumber": GovernmentID,
	"nino": GovernmentID, "governmentid": GovernmentID, "governmentidnumber": GovernmentID, "idcardnumber": GovernmentID, "identitycardnumber": GovernmentID,
	"passport": GovernmentID, "passportnumber": GovernmentID, "passportno": GovernmentID,
	"driverlicense": GovernmentID, "driverslicense": GovernmentID, "driverlicensenumber": GovernmentID, "driverslicensenumber": GovernmentID,
	"drivinglicence": GovernmentID, "drivinglicencenumber": GovernmentID, "taxid": GovernmentID, "taxidnumber": GovernmentID, "steuerid": GovernmentID,
	"personnummer": GovernmentID, "cpf": GovernmentID, "curp": GovernmentID, "pesel": GovernmentID, "bsn": GovernmentID, "aadhaar": GovernmentID,
	"codicefiscale": GovernmentID,
}

// byName says why a field of this name is withheld, or "".
func byName(name string) Reason {
	plain := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + ('a' - 'A')
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, name)
	if r := forbidden[plain]; r != "" {
		return r
	}
	for _, end := range []string{"password", "passwordhash", "passwordsalt", "passworddigest", "hashedpassword"} {
		if strings.HasSuffix(plain, end) {
			return Credential
		}
	}
	return ""
}

// maxDepth is how deep a row may nest. Walking is recursive, and a hostile row
// must not exhaust the stack.
const maxDepth = 128

var (
	errNotObject = errors.New("a row is not one valid JSON object")
	errDeep      = errors.New("a row nests too deep")
)

// tooDeep reports whether brackets nest deeper than maxDepth.
func tooDeep(row []byte) bool {
	depth, inside := 0, false
	for i := 0; i < len(row); i++ {
		switch c := row[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// hit is called for each value that was withheld.
type hit func(field string, r Reason)

// guarded returns the row without what must not leave, and the same row when
// there is nothing of the kind. Key order and the spelling of all other values
// stay as they are.
func guarded(row string, found hit) string {
	v := gjson.Parse(row)
	if !suspicious(v) {
		return row
	}
	var out strings.Builder
	out.Grow(len(row))
	mask(&out, v, "", found)
	return out.String()
}

// suspicious reports whether anything in v is to be masked.
func suspicious(v gjson.Result) bool {
	switch {
	case v.IsObject():
		bad := false
		v.ForEach(func(k, field gjson.Result) bool {
			bad = byName(k.Str) != "" && !blank(field) || hasCard(k.Str) || suspicious(field)
			return !bad
		})
		return bad
	case v.IsArray():
		bad := false
		v.ForEach(func(_, item gjson.Result) bool {
			bad = suspicious(item)
			return !bad
		})
		return bad
	case v.Type == gjson.String:
		return hasCard(v.Str)
	case v.Type == gjson.Number:
		return hasCard(v.Raw)
	}
	return false
}

// blank reports values that disclose nothing: null, true and false (a flag
// such as "password": true says that there is one), and empty text.
func blank(v gjson.Result) bool {
	return v.Type == gjson.Null || v.Type == gjson.True || v.Type == gjson.False || v.Type == gjson.String && v.Str == ""
}

func mask(out *strings.Builder, v gjson.Result, path string, found hit) {
	switch {
	case v.IsObject():
		first := true
		out.WriteByte('{')
		v.ForEach(func(k, field gjson.Result) bool {
			if !first {
				out.WriteByte(',')
			}
			first = false
			name, raw := k.Str, k.Raw
			if hasCard(name) {
				name = withoutCards(name)
				raw = quote(name)
				found(join(path, name), CardNumber)
			}
			out.WriteString(raw)
			out.WriteByte(':')
			if r := byName(name); r != "" && !blank(field) {
				found(join(path, name), r)
				out.WriteString(quote(r.text()))
				return true
			}
			mask(out, field, join(path, name), found)
			return true
		})
		out.WriteByte('}')
	case v.IsArray():
		first := true
		out.WriteByte('[')
		v.ForEach(func(_, item gjson.Result) bool {
			if !first {
				out.WriteByte(',')
			}
			first = false
			mask(out, item, path, found)
			return true
		})
		out.WriteByte(']')
	case v.Type == gjson.String && hasCard(v.Str):
		found(path, CardNumber)
		out.WriteString(quote(withoutCards(v.Str)))
	case v.Type == gjson.Number && hasCard(v.Raw):
		found(path, CardNumber)
		out.WriteString(quote(CardNumber.text()))
	default:
		out.WriteString(v.Raw)
	}
}

// maxField is the longest path kept in a manifest, in bytes.
const maxField = 200

func join(path, name string) string {
	if path != "" {
		name = path + "." + name
	}
	for len(name) > maxField {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}
