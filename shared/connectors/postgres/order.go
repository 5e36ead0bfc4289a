package postgres

import "slices"

// groups orders the tables that an erasure changes: a table comes before those
// its foreign keys or paths lead to, children first. Tables that lead to each
// other form one group, which one statement changes as a whole.
func (s *session) groups() [][]name {
	var nodes []name
	for _, e := range s.entries {
		if s.erases(e) && !slices.Contains(nodes, e.name) {
			nodes = append(nodes, e.name)
		}
	}
	next := map[name][]name{}
	lead := func(from, to name) {
		if from != to && slices.Contains(nodes, from) && slices.Contains(nodes, to) {
			next[from] = append(next[from], to)
		}
	}
	for _, f := range s.cat.keys {
		lead(f.from, f.to)
	}
	for _, e := range s.entries {
		for _, l := range e.links() {
			for _, h := range l.hops {
				lead(e.name, h.to)
			}
			for _, end := range l.ends {
				for _, further := range end.way() {
					lead(e.name, further)
				}
			}
		}
	}
	t := tarjan{next: next, index: map[name]int{}, low: map[name]int{}}
	for _, n := range nodes {
		if t.index[n] == 0 {
			t.visit(n)
		}
	}
	slices.Reverse(t.groups) // a group is complete only after all it leads to
	return t.groups
}

// way lists the tables that deciding whose a row is looks at.
func (e *entry) way() []name {
	all := []name{e.name}
	for _, h := range e.own.hops {
		all = append(all, h.to)
	}
	for _, end := range e.own.ends {
		all = append(all, end.way()...)
	}
	return all
}

// tarjan finds the strongly connected groups of a graph.
type tarjan struct {
	next       map[name][]name
	index, low map[name]int
	stack      []name
	groups     [][]name
}

func (t *tarjan) visit(n name) {
	t.index[n] = len(t.index) + 1
	t.low[n] = t.index[n]
	t.stack = append(t.stack, n)
	for _, m := range t.next[n] {
		if t.index[m] == 0 {
			t.visit(m)
			t.low[n] = min(t.low[n], t.low[m])
		} else if slices.Contains(t.stack, m) {
			t.low[n] = min(t.low[n], t.index[m])
		}
	}
	if t.low[n] != t.index[n] {
		return
	}
	at := slices.Index(t.stack, n)
	t.groups = append(t.groups, slices.Clone(t.stack[at:]))
	t.stack = t.stack[:at]
}
