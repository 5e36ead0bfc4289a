package policy_test

import (
	"testing"

	"github.com/writ-dsr/writ/shared/policy"
)

// BenchmarkLoad is what a Lambda pays at its start: a whole pack read, checked
// and tried, with every law.
func BenchmarkLoad(b *testing.B) {
	for _, id := range policy.Companies() {
		b.Run(id, func(b *testing.B) {
			for b.Loop() {
				if _, err := policy.Load(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFacts is one letter's worth of law and pack.
func BenchmarkFacts(b *testing.B) {
	c, err := policy.Load("learnai")
	if err != nil {
		b.Fatal(err)
	}
	q := asked("2026-03-02", policy.Question{Place: "US-CA"})
	for b.Loop() {
		c.Facts(policy.NoticeAccess, q)
	}
}
