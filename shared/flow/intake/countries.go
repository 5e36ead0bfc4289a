package intake

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Country is one entry of the form's list.
type Country struct {
	Code string // ISO 3166-1 alpha-2
	Name string
}

// Countries lists the world's countries by their English names, each once: no
// code that was withdrawn, such as DD, or that names no country of its own.
func Countries() []Country {
	names := display.English.Regions()
	var all []Country
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			region, err := language.ParseRegion(code)
			if err != nil || !region.IsCountry() || region.String() != code || region.Canonicalize() != region || region.M49() == 0 {
				continue
			}
			name := names.Name(region)
			if name == "" || name == code || strings.HasPrefix(name, "Unknown") || strings.HasPrefix(name, "Pseudo") {
				continue
			}
			all = append(all, Country{Code: code, Name: name})
		}
	}
	slices.SortFunc(all, func(x, y Country) int { return strings.Compare(x.Name, y.Name) })
	return all
}
