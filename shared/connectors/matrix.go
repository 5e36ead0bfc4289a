package connectors

import (
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Row is one connector in the capability matrix.
type Row struct {
	Code    string            `json:"code"`
	Name    string            `json:"name"`
	Tier    connector.Tier    `json:"tier"`
	Ops     map[dsr.Op]string `json:"ops"` // all six: api, async, manual or none
	Hosts   []string          `json:"hosts"`
	Accepts []dsr.Kind        `json:"accepts"`
	Keeps   []Keep            `json:"keeps"`
}

// Keep is something the vendor holds on to after an erasure.
type Keep struct {
	Rule     string `json:"rule"`
	Category string `json:"category"`
	Reason   string `json:"reason"`
}

// Matrix says what each connector of the shelf can do, by code.
func Matrix() ([]Row, error) {
	all, err := Descriptors()
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(all))
	for _, code := range Codes(all) {
		rows = append(rows, row(all[code]))
	}
	return rows, nil
}

func row(d connector.Descriptor) Row {
	r := Row{
		Code: d.Code, Name: d.Name, Tier: d.Tier, Ops: map[dsr.Op]string{},
		Hosts: append([]string{}, d.Hosts...), Accepts: append([]dsr.Kind{}, d.Accepts...), Keeps: []Keep{},
	}
	for _, op := range dsr.Ops() {
		r.Ops[op], _, _ = strings.Cut(d.Ops[op], ":")
	}
	for _, k := range d.Keeps {
		r.Keeps = append(r.Keeps, Keep{Rule: k.ID, Category: k.Category, Reason: k.Reason})
	}
	slices.Sort(r.Accepts)
	return r
}
