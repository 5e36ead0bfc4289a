package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/pelletier/go-toml/v2"
)

//go:embed prices.toml
var pricesTOML []byte

// priceTable says what AWS bills and which units a call takes.
type priceTable struct {
	AsOf       toml.LocalDate       `toml:"as_of"`
	Units      map[string]unitPrice `toml:"unit"`
	Operations map[string]string    `toml:"operation"` // "<service> <operation>" → unit
}

type unitPrice struct {
	USD    float64 `toml:"usd"`
	Source string  `toml:"source"`
}

// readPrices decodes a price table strictly.
func readPrices(raw []byte) (*priceTable, error) {
	var t priceTable
	decoder := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields()
	if err := decoder.Decode(&t); err != nil {
		return nil, fmt.Errorf("reading the prices: %w", err)
	}
	if t.AsOf == (toml.LocalDate{}) {
		return nil, fmt.Errorf("reading the prices: as_of is missing")
	}
	for name, u := range t.Units {
		if u.Source == "" || u.USD < 0 || (u.USD == 0 && name != "free") {
			return nil, fmt.Errorf("reading the prices: the unit %s needs a price and a source", name)
		}
	}
	for _, op := range slices.Sorted(maps.Keys(t.Operations)) {
		if _, ok := t.Units[t.Operations[op]]; !ok {
			return nil, fmt.Errorf("reading the prices: the call %q takes the unit %q, which has no price", op, t.Operations[op])
		}
	}
	return &t, nil
}

// unit is what a call is billed in. A call without a price is an error: it
// would make every sum too small.
func (t *priceTable) unit(operation string) (string, error) {
	u, ok := t.Operations[operation]
	if !ok {
		return "", fmt.Errorf("pricing the call %q: it is not in prices.toml: add it with its unit", operation)
	}
	return u, nil
}

// units counts what is billed, by unit.
type units map[string]float64

// cost is what the units cost together, in dollars.
func (t *priceTable) cost(u units) (usd float64, err error) {
	for name, n := range u {
		p, ok := t.Units[name]
		if !ok {
			return 0, fmt.Errorf("pricing %s: it is not in prices.toml", name)
		}
		usd += n * p.USD
	}
	return usd, nil
}

// explain shows what the cost is made of, the dearest first.
func (t *priceTable) explain(to io.Writer, calls map[string]int, u units) {
	names := slices.SortedFunc(maps.Keys(u), func(a, b string) int { return cmp.Compare(u[b]*t.Units[b].USD, u[a]*t.Units[a].USD) })
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, name := range names {
		_, _ = fmt.Fprintf(w, "  %s\t%.6g\t%.6f USD\t\n", name, u[name], u[name]*t.Units[name].USD)
	}
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		_, _ = fmt.Fprintf(w, "  %s\t%d\t\t\n", call, calls[call])
	}
	_ = w.Flush()
}
