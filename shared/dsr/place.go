package dsr

import "strings"

// Place is where a person lives, as far as they said: an ISO 3166-1 country
// ("PL"), an ISO 3166-2 state of one ("US-CA"), or "" for not said.
type Place string

// PlaceOf joins a country and a state of it ("US", "CA"); the state may be empty.
func PlaceOf(country, state string) Place {
	country, state = strings.ToUpper(strings.TrimSpace(country)), strings.ToUpper(strings.TrimSpace(state))
	if country == "" || state == "" {
		return Place(country)
	}
	return Place(country + "-" + state)
}

// Country is the country's part: "US" of "US-CA".
func (p Place) Country() string {
	country, _, _ := strings.Cut(string(p), "-")
	return country
}

// Clean returns the place in capital letters without white space around it.
func (p Place) Clean() Place { return Place(strings.ToUpper(strings.TrimSpace(string(p)))) }
