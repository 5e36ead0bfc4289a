// Package dsrtest is the one synthetic cast all tests use. Every value carries
// a canary string, so that a leak of any of them is found by searching for it.
package dsrtest

import "github.com/writ-dsr/writ/shared/dsr"

// Person is a synthetic data subject.
type Person struct {
	Name  string
	Email string
	Phone string
	City  string
}

// The cast: Ada asks; Ben never does; the others look almost like Ada.
var (
	Ada       = Person{Name: "Ada Zq7canary-Quill", Email: "ada.zq7canary@learner.example", Phone: "+15550zq7canary1", City: "Zq7canary-Town"}
	Ben       = Person{Name: "Ben Xk4canary-Birch", Email: "ben.xk4canary@learner.example", Phone: "+15550xk4canary2", City: "Xk4canary-Ville"}
	AdaPlus   = Person{Name: "Ada Plus Vw2canary", Email: "ada.zq7canary+course@learner.example", Phone: "+15550vw2canary3", City: "Vw2canary-Hill"}
	AdaHomo   = Person{Name: "Ada Homograph Vw3canary", Email: "аda.zq7canary@learner.example", Phone: "+15550vw3canary4", City: "Vw3canary-Dale"}
	AdaUpper  = Person{Name: "Ada Upper Vw5canary", Email: "Ada.Zq7canary@learner.example", Phone: "+15550vw5canary5", City: "Vw5canary-Port"}
	AdaDomain = Person{Name: "Ada Domain Vw6canary", Email: "ada.zq7canary@learner.example.net", Phone: "+15550vw6canary6", City: "Vw6canary-Moor"}
)

// LookAlikes are the people who must stay untouched byte for byte when Ada
// asks. AdaUpper, whose address differs in case alone, is a person's task.
func LookAlikes() []Person { return []Person{Ben, AdaPlus, AdaHomo, AdaDomain} }

// Canaries are the strings no log, error, state, URL or clear table may hold.
func Canaries() []string {
	var all []string
	for _, p := range []Person{Ada, Ben, AdaPlus, AdaHomo, AdaUpper, AdaDomain} {
		all = append(all, p.Name, p.Email, p.Phone, p.City)
	}
	return all
}

// Proved returns the person's address as a proved identity.
func (p Person) Proved() dsr.Identity {
	return dsr.Identity{Kind: dsr.Email, Value: p.Email, Origin: dsr.Proved}
}
