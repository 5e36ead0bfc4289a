package walk

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// expr is a JSONata expression of the subset our definitions use: paths,
// filters, comparisons, & and or, a condition ? a : b, array constructors and a few
// functions. Anything else is an error when the machine is parsed, never a
// wrong answer when it is walked.
type expr interface {
	eval(at any, vars *scope) (any, error)
}

// undefined is JSONata's "nothing": a path that leads nowhere. It is not null.
type undefined struct{}

// scope is a chain of variables: an iteration of a Map sees those outside it
// and sets its own.
type scope struct {
	vars  map[string]any
	outer *scope
}

func (s *scope) get(name string) any {
	for ; s != nil; s = s.outer {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	return undefined{}
}

// with returns a scope inside s that holds one more variable.
func (s *scope) with(name string, value any) *scope {
	return &scope{vars: map[string]any{name: value}, outer: s}
}

type (
	literal  struct{ value any }
	variable struct{ name string }
	name     struct{ field string } // a field of the item a filter looks at
	step     struct {
		from  expr
		field string
	}
	filter struct{ from, keep expr }
	binary struct {
		op          string
		left, right expr
	}
	condition struct{ test, yes, no expr }
	array     struct{ items []expr }
	call      struct {
		function string
		args     []expr
	}
)

func (e literal) eval(any, *scope) (any, error)         { return e.value, nil }
func (e variable) eval(_ any, vars *scope) (any, error) { return vars.get(e.name), nil }
func (e name) eval(at any, _ *scope) (any, error)       { return field(at, e.field), nil }

func (e step) eval(at any, vars *scope) (any, error) {
	from, err := e.from.eval(at, vars)
	if err != nil {
		return nil, err
	}
	return field(from, e.field), nil
}

// field reads a field of an object, or of every object of an array.
func field(from any, name string) any {
	switch v := from.(type) {
	case map[string]any:
		if value, ok := v[name]; ok {
			return value
		}
	case []any:
		var found []any
		for _, item := range v {
			found = appendFlat(found, field(item, name))
		}
		return sequence(found)
	}
	return undefined{}
}

// sequence is JSONata's rule for what a path or filter found: nothing is
// undefined, one is itself, more are an array.
func sequence(found []any) any {
	switch len(found) {
	case 0:
		return undefined{}
	case 1:
		return found[0]
	}
	return found
}

func appendFlat(to []any, v any) []any {
	switch v := v.(type) {
	case undefined:
		return to
	case []any:
		return append(to, v...)
	}
	return append(to, v)
}

func (e filter) eval(at any, vars *scope) (any, error) {
	from, err := e.from.eval(at, vars)
	if err != nil {
		return nil, err
	}
	var kept []any
	for _, item := range appendFlat(nil, from) {
		keep, err := e.keep.eval(item, vars)
		if err != nil {
			return nil, err
		}
		if keep == true {
			kept = append(kept, item)
		}
	}
	return sequence(kept), nil
}

func (e binary) eval(at any, vars *scope) (any, error) {
	left, err := e.left.eval(at, vars)
	if err != nil {
		return nil, err
	}
	right, err := e.right.eval(at, vars)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "and":
		return left == true && right == true, nil
	case "or":
		return left == true || right == true, nil
	case "&":
		return text(left) + text(right), nil
	case "=", "!=":
		_, noLeft := left.(undefined)
		_, noRight := right.(undefined)
		if noLeft || noRight {
			return false, nil // nothing is neither equal nor unequal to anything
		}
		return reflect.DeepEqual(left, right) == (e.op == "="), nil
	}
	a, okA := left.(float64)
	b, okB := right.(float64)
	if !okA || !okB {
		return nil, fmt.Errorf("%s needs two numbers", e.op)
	}
	switch e.op {
	case "<":
		return a < b, nil
	case "<=":
		return a <= b, nil
	case ">":
		return a > b, nil
	case ">=":
		return a >= b, nil
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	}
	return nil, fmt.Errorf("unknown operator %q", e.op)
}

func text(v any) string {
	switch v := v.(type) {
	case undefined:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func (e condition) eval(at any, vars *scope) (any, error) {
	test, err := e.test.eval(at, vars)
	if err != nil {
		return nil, err
	}
	if test == true {
		return e.yes.eval(at, vars)
	}
	return e.no.eval(at, vars)
}

func (e array) eval(at any, vars *scope) (any, error) {
	all := []any{}
	for _, item := range e.items {
		v, err := item.eval(at, vars)
		if err != nil {
			return nil, err
		}
		if _, nested := item.(array); nested {
			all = append(all, v)
			continue
		}
		all = appendFlat(all, v)
	}
	return all, nil
}

func (e call) eval(at any, vars *scope) (any, error) {
	v, err := e.args[0].eval(at, vars)
	if err != nil {
		return nil, err
	}
	_, none := v.(undefined)
	switch e.function {
	case "count":
		return float64(len(appendFlat(nil, v))), nil
	case "exists":
		return !none, nil
	case "not":
		return v != true, nil
	case "boolean":
		return v == true, nil
	}
	return nil, fmt.Errorf("unknown function $%s", e.function)
}

// parseExpr reads one expression, without its {% and %}.
func parseExpr(source string) (expr, error) {
	p := &parser{tokens: nil, source: source}
	if err := p.scan(); err != nil {
		return nil, fmt.Errorf("reading the expression %q: %w", source, err)
	}
	e, err := p.expression(0)
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%q is left over", p.peek())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the expression %q: %w", source, err)
	}
	return e, nil
}

type parser struct {
	source string
	tokens []string
	at     int
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// scan cuts the source into tokens; a string keeps its opening quote.
func (p *parser) scan() error {
	for s := p.source; s != ""; {
		switch {
		case strings.ContainsRune(" \t\n", rune(s[0])):
			s = s[1:]
		case s[0] == '\'' || s[0] == '"':
			end := strings.IndexByte(s[1:], s[0])
			if end < 0 || strings.Contains(s[:end+1], `\`) {
				return fmt.Errorf("a string without end, or with an escape")
			}
			p.tokens = append(p.tokens, s[:end+1])
			s = s[end+2:]
		case strings.ContainsRune(nameChars+"$", rune(s[0])):
			n := 1
			for n < len(s) && strings.ContainsRune(nameChars, rune(s[n])) {
				n++
			}
			p.tokens = append(p.tokens, s[:n])
			s = s[n:]
		default:
			n := 1
			if len(s) > 1 && strings.Contains("!= <= >=", s[:2]) && s[1] == '=' {
				n = 2
			}
			if !strings.Contains(".[]()?:,&=!=<=>=+-", s[:n]) {
				return fmt.Errorf("%q is not supported", s[:n])
			}
			p.tokens = append(p.tokens, s[:n])
			s = s[n:]
		}
	}
	return nil
}

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *parser) take(want string) error {
	if p.peek() != want {
		return fmt.Errorf("expected %q, found %q", want, p.peek())
	}
	p.at++
	return nil
}

// binds says how strongly an operator binds; 0 is no operator.
func binds(op string) int {
	switch op {
	case "?":
		return 1
	case "or":
		return 2
	case "and":
		return 3
	case "=", "!=", "<", "<=", ">", ">=":
		return 4
	case "&", "+", "-":
		return 5
	case ".", "[":
		return 6
	}
	return 0
}

func (p *parser) expression(above int) (expr, error) {
	left, err := p.operand()
	for err == nil {
		op := p.peek()
		strength := binds(op)
		if strength <= above {
			return left, nil
		}
		p.at++
		switch op {
		case ".":
			field := p.peek()
			if field == "" || !strings.ContainsRune(nameChars, rune(field[0])) {
				return nil, fmt.Errorf("%q cannot follow a dot", field)
			}
			p.at++
			left = step{left, field}
		case "[":
			var keep expr
			if keep, err = p.expression(0); err == nil {
				err = p.take("]")
			}
			if n, isNumber := keep.(literal); isNumber {
				return nil, fmt.Errorf("an index [%v] is not supported", n.value)
			}
			left = filter{left, keep}
		case "?":
			var yes, no expr
			if yes, err = p.expression(0); err == nil {
				if err = p.take(":"); err == nil {
					no, err = p.expression(0)
				}
			}
			left = condition{left, yes, no}
		default:
			var right expr
			right, err = p.expression(strength)
			left = binary{op, left, right}
		}
	}
	return nil, err
}

func (p *parser) operand() (expr, error) {
	t := p.peek()
	p.at++
	switch {
	case t == "":
		return nil, fmt.Errorf("it ends too early")
	case t == "true" || t == "false":
		return literal{t == "true"}, nil
	case t == "null":
		return literal{nil}, nil
	case t[0] == '\'' || t[0] == '"':
		return literal{t[1:]}, nil
	case t[0] >= '0' && t[0] <= '9':
		n, err := strconv.ParseFloat(t, 64)
		return literal{n}, err
	case t == "(":
		e, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		return e, p.take(")")
	case t == "[":
		items, err := p.list("]")
		return array{items}, err
	case t[0] == '$' && p.peek() == "(":
		p.at++
		args, err := p.list(")")
		if err != nil {
			return nil, err
		}
		known := map[string]bool{"count": true, "exists": true, "not": true, "boolean": true}
		if !known[t[1:]] || len(args) != 1 {
			return nil, fmt.Errorf("the call %s with %d arguments is not supported", t, len(args))
		}
		return call{t[1:], args}, nil
	case t[0] == '$' && len(t) > 1:
		return variable{t[1:]}, nil
	case strings.ContainsRune(nameChars, rune(t[0])):
		return name{t}, nil
	}
	return nil, fmt.Errorf("%q cannot start an operand", t)
}

func (p *parser) list(end string) ([]expr, error) {
	var items []expr
	if p.peek() == end {
		p.at++
		return nil, nil
	}
	for {
		e, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		items = append(items, e)
		if p.peek() == "," {
			p.at++
			continue
		}
		return items, p.take(end)
	}
}
