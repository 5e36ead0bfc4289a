package stripe

// ShapeFields are the fields each category's export takes, for the test that
// holds them against Stripe's description.
func ShapeFields() map[string][]string {
	all := map[string][]string{}
	for category, s := range shapes {
		all[category] = append(all[category], s.fields...)
		for _, c := range s.contacts {
			for _, field := range append([]string{c.email, c.name}, c.block...) {
				if field != "" {
					all[category] = append(all[category], field)
				}
			}
		}
	}
	return all
}

// Refine reads an error object as the driver does.
var Refine = refine
