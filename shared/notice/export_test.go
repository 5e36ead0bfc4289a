package notice

// Needs lists the fields that a kind cannot be without.
func Needs(kind string) []string {
	var all []string
	for _, n := range kinds[kind].needs {
		all = append(all, n.path)
	}
	return all
}
