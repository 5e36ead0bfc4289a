package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Screened returns a sink in whose rows the kinds of data that a copy must not
// hold are replaced by a note which kind was withheld: card numbers and card
// codes, passwords and security answers, government, bank and health insurance
// numbers (California, 11 CCR 7024(d), lets a business name the kind only; card
// codes may not be stored at all, PCI DSS 3.3). Drivers wrap the sink of Export
// in it. Files pass as they are: nobody can look into every format.
func Screened(to Sink) Sink { return screened{to} }

type screened struct{ Sink }

// Row writes the row with forbidden values replaced and its keys in order.
func (s screened) Row(ctx context.Context, category, source string, row json.RawMessage) error {
	clean, err := screen(row)
	if err != nil {
		return &Error{Kind: Invalid, Err: fmt.Errorf("screening a row of %s: it is not one JSON value", source)}
	}
	return s.Sink.Row(ctx, category, source, clean)
}

// withheld maps a key, in lower case without separators, to the kind it holds.
var withheld = map[string]string{
	"password": "password", "passwd": "password", "pwd": "password", "passphrase": "password",
	"passwordhash": "password", "hashedpassword": "password", "encryptedpassword": "password",
	"passworddigest": "password", "passwordsalt": "password", "pin": "password", "pincode": "password",
	"securityanswer": "security answer", "secretanswer": "security answer", "securityquestion": "security answer",
	"cvv": "card code", "cvv2": "card code", "cvc": "card code", "cvc2": "card code", "csc": "card code",
	"cardcode": "card code", "cardsecuritycode": "card code", "cardverificationcode": "card code",
	"cardnumber": "card number", "creditcard": "card number", "creditcardnumber": "card number",
	"ccnumber": "card number", "debitcardnumber": "card number",
	"ssn": "government id", "socialsecuritynumber": "government id", "socialsecurity": "government id",
	"nationalid": "government id", "nationalidnumber": "government id", "nationalinsurancenumber": "government id",
	"idnumber": "government id", "governmentid": "government id", "identitycardnumber": "government id",
	"passport": "government id", "passportnumber": "government id", "driverslicense": "government id",
	"driverslicensenumber": "government id", "driverlicensenumber": "government id", "drivinglicence": "government id",
	"drivinglicencenumber": "government id", "taxpayerid": "government id", "taxfilenumber": "government id",
	"iban": "bank account", "bankaccount": "bank account", "bankaccountnumber": "bank account",
	"healthinsurancenumber": "health insurance number", "medicalrecordnumber": "health insurance number",
}

// screen rewrites one JSON value token by token, so that keys stay in order and
// numbers keep their digits.
func screen(row json.RawMessage) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(row))
	dec.UseNumber()
	var out bytes.Buffer
	if err := screenValue(dec, &out); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one value")
	}
	return out.Bytes(), nil
}

func screenValue(dec *json.Decoder, out *bytes.Buffer) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		return screenMembers(dec, out, v)
	case json.Number:
		if hidesCard(v.String()) {
			return note(out, "card number")
		}
		out.WriteString(v.String())
		return nil
	case string:
		return write(out, maskCards(v))
	}
	return write(out, token)
}

func screenMembers(dec *json.Decoder, out *bytes.Buffer, open json.Delim) error {
	out.WriteString(open.String())
	for first := true; dec.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		if open == '[' {
			if err := screenValue(dec, out); err != nil {
				return err
			}
			continue
		}
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if err := write(out, name); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := screenMember(dec, out, name); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	if err != nil {
		return err
	}
	fmt.Fprint(out, end)
	return nil
}

// screenMember writes the value of a key, or what is withheld instead. Nothing
// there (null, false, an empty text) stays as it is.
func screenMember(dec *json.Decoder, out *bytes.Buffer, key string) error {
	kind, forbidden := withheld[fold(key)]
	if !forbidden {
		return screenValue(dec, out)
	}
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return err
	}
	switch string(value) {
	case `null`, `""`, `true`, `false`, `[]`, `{}`:
		out.Write(value)
		return nil
	}
	return note(out, kind)
}

func note(out *bytes.Buffer, kind string) error { return write(out, "[withheld: "+kind+"]") }

func write(out *bytes.Buffer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	out.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return nil
}

// fold turns "Card_Number" and "cardNumber" into "cardnumber".
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + ('a' - 'A')
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, key)
}

// digits are 14 to 19 of them, in groups or not, that stand alone: a number
// inside an identifier, or after the + of a telephone number, is none.
var digits = regexp.MustCompile(`(^|[^\pL\pN_+.])(\d(?:[ -]?\d){13,18})($|[^\pL\pN_])`)

func maskCards(s string) string {
	if !strings.ContainsAny(s, "0123456789") {
		return s
	}
	return digits.ReplaceAllStringFunc(s, func(m string) string {
		parts := digits.FindStringSubmatch(m)
		if !hidesCard(parts[2]) {
			return m
		}
		return parts[1] + "[withheld: card number]" + parts[3]
	})
}

// hidesCard reports whether a run of digits is a card number: of an issuer's
// range and length, with the right check digit (ISO/IEC 7812). The check digit
// alone would take every tenth order number for one.
func hidesCard(s string) bool {
	s = strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(s) < 14 || len(s) > 19 || strings.Trim(s, "0123456789") != "" || !issued(s) {
		return false
	}
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// issued reports whether the leading digits and the length belong to a card
// network.
func issued(s string) bool {
	head, err := strconv.Atoi(s[:4])
	if err != nil {
		return false
	}
	in := func(low, high int) bool { return low <= head && head <= high }
	switch len(s) {
	case 14:
		return in(3000, 3059) || in(3600, 3699) || in(3800, 3999) // Diners Club
	case 15:
		return in(3400, 3499) || in(3700, 3799) // American Express
	case 16, 17, 18, 19:
		return in(4000, 4999) || // Visa
			in(5100, 5599) || in(2221, 2720) || // Mastercard
			in(3528, 3589) || // JCB
			in(6011, 6011) || in(6440, 6599) || // Discover
			in(6200, 6299) || // UnionPay
			in(5000, 5099) || in(5600, 5899) || in(6304, 6304) || in(6700, 6799) // Maestro
	}
	return false
}
