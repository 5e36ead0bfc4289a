package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// Digest is of everything that makes the English letter of a kind: its fields, its
// parts in order, and their words.
func Digest(kind string) string {
	c, err := catalog()
	if err != nil {
		return err.Error()
	}
	l, k := c.languages[english], kinds[kind]
	sum := sha256.New()
	words := l.Notice[kind]
	fmt.Fprintln(sum, Needs(kind), words["subject"], words["lead"])
	for _, key := range k.leads {
		fmt.Fprintln(sum, words[key])
	}
	for _, b := range k.body {
		fmt.Fprintln(sum, b.key, b.shared, b.says, b.items != nil, b.table != nil, b.link != nil, b.parts != nil)
		for _, key := range b.keys() {
			fmt.Fprintln(sum, key, words[key], l.Part[key])
		}
		if b.table != nil || b.items != nil || b.parts != nil {
			for _, list := range []map[string]string{l.Outcome, l.Reason, l.Proof} {
				for _, key := range slices.Sorted(maps.Keys(list)) {
					fmt.Fprintln(sum, key, list[key])
				}
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// Needs lists the fields that a kind cannot be without.
func Needs(kind string) []string {
	var all []string
	for _, n := range kinds[kind].needs {
		all = append(all, n.path)
	}
	return all
}
