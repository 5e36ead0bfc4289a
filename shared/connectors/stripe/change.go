package stripe

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// addressParts are the fields of Stripe's postal address.
var addressParts = []string{"line1", "line2", "city", "state", "postal_code", "country"}

// correction is the form that makes a customer read as the changes say; empty
// when it does already. Fields are name, email, phone and address.<part>. An
// address is sent whole, so that no part is lost whether Stripe merges or
// replaces it.
func correction(o object, changes []dsr.Change) (url.Values, error) {
	form := url.Values{}
	held := map[string]string{"name": o.Name, "email": o.Email, "phone": o.Phone}
	address, moved := fields{}, false
	for _, part := range addressParts {
		address[part] = o.Address[part]
	}
	for _, change := range changes {
		part, ofAddress := strings.CutPrefix(change.Field, "address.")
		value, known := held[change.Field]
		switch {
		case ofAddress && slices.Contains(addressParts, part):
			moved = moved || address[part] != change.New
			address[part] = change.New
		case !known:
			return nil, errors.New("correcting a customer: the request names a field other than name, email, phone and address.line1, line2, city, state, postal_code, country")
		case value != change.New:
			form.Set(change.Field, change.New)
		}
	}
	if moved {
		for _, part := range addressParts {
			form.Set("address["+part+"]", address[part])
		}
	}
	return form, nil
}

// blank is the form that empties what a payment method says about its owner.
func blank() url.Values {
	return url.Values{
		"billing_details[name]": {""}, "billing_details[email]": {""}, "billing_details[phone]": {""},
		"billing_details[address]": {""}, "metadata": {""},
	}
}
