package connectortest

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
)

// law is one promise of the contract. applies returns "" or why the law does
// not concern the suite; it reads declarations only, never behaviour.
type law struct {
	name    string
	applies func(s Suite) string
	check   func(t testing.TB, s Suite)
}

// laws in the order of design section 3.
func laws() []law {
	return []law{
		{"capability_truth", always, capabilityTruth},
		{"origin", can(dsr.Locate), origin},
		{"unknown_subject", always, unknownSubject},
		{"others_untouched", always, othersUntouched},
		{"look_alikes", always, lookAlikes},
		{"case_only_is_a_candidate", acceptsEmail, caseOnly},
		{"stranger_address", has(Annotate), strangerAddress},
		{"export_complete", can(dsr.Export), exportComplete},
		{"cut_and_resumed", can(dsr.Export), cutAndResumed},
		{"erase_then_locate", can(dsr.Erase), eraseThenLocate},
		{"soft_delete_is_not_erasure", can(dsr.Erase), softDelete},
		{"same_key_once", can(dsr.Erase), sameKeyOnce},
		{"only_named_categories", always, onlyNamedCategories},
		{"rectify_named_fields", can(dsr.Rectify), rectifyNamedFields},
		{"correction_read_back", both(can(dsr.Rectify), can(dsr.ReadBack)), correctionReadBack},
		{"suppression_survives", can(dsr.Suppress), suppressionSurvives},
		{"read_back_honest", can(dsr.ReadBack), readBackHonest},
		{"fault_to_kind", always, faultToKind},
		{"every_call_counts", overHTTP, everyCallCounts},
		{"unknown_effect_is_said", can(dsr.Erase), unknownEffect},
		{"nonsense_is_no_answer", overHTTP, nonsense},
		{"repeated_page", both(overHTTP, can(dsr.Export)), repeatedPage},
		{"pending_by_job", hasAsync, pendingByJob},
		{"cancellation", always, cancellation},
		{"canaries", always, canaries},
		{"declared_hosts", overHTTP, declaredHosts},
		{"forbidden_kinds", both(can(dsr.Export), has(Annotate, Content)), forbiddenKinds},
	}
}

// Laws lists the names of all laws, for waivers.
func Laws() []string {
	var names []string
	for _, l := range laws() {
		names = append(names, l.name)
	}
	return names
}

// Run checks every law on the suite, one subtest each.
func Run(t *testing.T, s Suite) {
	t.Helper()
	for _, complaint := range s.complaints() {
		t.Error(complaint)
	}
	for _, l := range laws() {
		t.Run(l.name, func(t *testing.T) {
			for _, f := range verdict(t, s, l) {
				t.Error(f)
			}
		})
	}
}

// Check runs every law and returns the failures of each law that did not pass.
// It fails nothing itself: the kit's own test proves with it that a planted bug
// is caught, and by which law.
func Check(t testing.TB, s Suite) map[string][]string {
	t.Helper()
	failures := map[string][]string{}
	if c := s.complaints(); len(c) > 0 {
		failures["suite"] = c
	}
	for _, l := range laws() {
		if f := verdict(t, s, l); len(f) > 0 {
			failures[l.name] = f
		}
	}
	return failures
}

// verdict runs one law and settles it against the suite's waivers.
func verdict(t testing.TB, s Suite, l law) []string {
	t.Helper()
	reason, waived := s.Waivers[l.name]
	if why := l.applies(s); why != "" {
		if waived {
			return []string{fmt.Sprintf("waiver of %s is of no use: the law does not apply (%s)", l.name, why)}
		}
		t.Logf("does not apply: %s", why)
		return nil
	}
	failures := observe(t, func(t testing.TB) { l.check(t, s) })
	if !waived {
		return failures
	}
	if len(failures) == 0 {
		return []string{fmt.Sprintf("waiver of %s is stale: the law passes now; remove it", l.name)}
	}
	t.Logf("waived: %s", reason)
	return nil
}

// complaints lists what is wrong with the suite itself.
func (s Suite) complaints() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Waivers)) {
		if !slices.Contains(Laws(), name) {
			all = append(all, fmt.Sprintf("waiver names the law %q, which does not exist", name))
		}
		if s.Waivers[name] == "" {
			all = append(all, fmt.Sprintf("waiver of %s has no reason", name))
		}
	}
	for _, trait := range slices.Sorted(maps.Keys(s.Lacks)) {
		if !slices.Contains(traits(), trait) {
			all = append(all, fmt.Sprintf("lacks names the trait %q, which does not exist", trait))
		}
		if s.Lacks[trait] == "" {
			all = append(all, fmt.Sprintf("lack of %s has no reason", trait))
		}
	}
	switch {
	case s.Transport != HTTP && s.Transport != Direct:
		all = append(all, fmt.Sprintf("transport %q is unknown: http or direct", s.Transport))
	case s.Transport == Direct && len(s.Descriptor.Hosts) > 0:
		all = append(all, "transport is direct, but the descriptor names egress hosts: use http")
	}
	if s.Rectify == nil && s.Descriptor.Can(dsr.Rectify) {
		all = append(all, "descriptor offers rectify, but the suite has no Rectify to try")
	}
	if s.Suppress == nil && s.Descriptor.Can(dsr.Suppress) {
		all = append(all, "descriptor offers suppress, but the suite has no Suppress to try")
	}
	if s.FinishJobs == nil && hasAsync(s) == "" {
		all = append(all, "descriptor has an async op, but the suite has no FinishJobs")
	}
	return all
}

func traits() []Trait {
	all := []Trait{Annotate, Content}
	for _, f := range []Fault{IgnoreWrites, SoftDelete, Refused, Throttled, Down, LoseAnswer, Partial} {
		all = append(all, Trait(f))
	}
	return all
}

func always(Suite) string { return "" }

func can(op dsr.Op) func(Suite) string {
	return func(s Suite) string {
		if s.Descriptor.Can(op) {
			return ""
		}
		return fmt.Sprintf("the descriptor says %s = %q", op, s.Descriptor.Ops[op])
	}
}

func both(a, b func(Suite) string) func(Suite) string {
	return func(s Suite) string {
		if why := a(s); why != "" {
			return why
		}
		return b(s)
	}
}

func has(needs ...Trait) func(Suite) string {
	return func(s Suite) string {
		for _, n := range needs {
			if reason, lacks := s.Lacks[n]; lacks {
				return fmt.Sprintf("the store lacks %s: %s", n, reason)
			}
		}
		return ""
	}
}

func overHTTP(s Suite) string {
	if s.Transport == HTTP {
		return ""
	}
	return "the driver does not speak HTTP"
}

func acceptsEmail(s Suite) string {
	if slices.Contains(s.Descriptor.Accepts, dsr.Email) {
		return ""
	}
	return "the vendor is not searched by address"
}

func hasAsync(s Suite) string {
	for _, op := range dsr.Ops() {
		if s.Descriptor.Ops[op] == "async" {
			return ""
		}
	}
	return "no op is async"
}

// observe runs check on a T of its own and returns what it reported. A panic is
// a failure like any other, so that one driver bug does not hide the rest.
func observe(t testing.TB, check func(testing.TB)) []string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.cleanup()
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v", p)
			}
		}()
		check(r)
	}()
	<-done
	return r.failures
}

// recorder is a testing.TB that keeps failures instead of failing the run.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return len(r.failures) > 0 }
func (r *recorder) Fail()            { r.Errorf("failed") }
func (r *recorder) FailNow()         { r.Fatalf("failed") }
func (r *recorder) Error(args ...any) {
	r.failures = append(r.failures, fmt.Sprint(args...))
}

func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// Skip is a failure: a law that does not apply says so by its declaration.
func (r *recorder) Skip(args ...any)                 { r.Fatal("a law may not be skipped: " + fmt.Sprint(args...)) }
func (r *recorder) Skipf(format string, args ...any) { r.Skip(fmt.Sprintf(format, args...)) }
func (r *recorder) SkipNow()                         { r.Skip("no reason") }
func (r *recorder) Skipped() bool                    { return false }

func (r *recorder) cleanup() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}
