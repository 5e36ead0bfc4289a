package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
)

func connectorsCommand() command {
	return command{
		name:    "connectors",
		summary: "show what each connector can do, and what stays after an erasure",
		setup: func(*flag.FlagSet) runner {
			return func(_ context.Context, c console, args []string) error {
				if len(args) > 0 {
					return usage("it takes no arguments")
				}
				rows, err := connectors.Matrix()
				if err != nil {
					return err
				}
				return c.print(rows, func(w io.Writer) error { return writeMatrix(w, rows) })
			}
		},
	}
}

func writeMatrix(w io.Writer, rows []connectors.Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{"CONNECTOR", "TIER"}
	for _, op := range dsr.Ops() {
		head = append(head, strings.ToUpper(string(op)))
	}
	_, _ = fmt.Fprintln(t, strings.Join(append(head, "FINDS BY"), "\t"))
	for _, r := range rows {
		cells := []string{r.Code, string(r.Tier)}
		for _, op := range dsr.Ops() {
			cells = append(cells, r.Ops[op])
		}
		kinds := make([]string, 0, len(r.Accepts))
		for _, k := range r.Accepts {
			kinds = append(kinds, string(k))
		}
		_, _ = fmt.Fprintln(t, strings.Join(append(cells, strings.Join(kinds, ", ")), "\t"))
	}
	for _, r := range rows {
		for _, k := range r.Keeps {
			_, _ = fmt.Fprintf(t, "\n%s keeps %s: %s", r.Code, k.Category, k.Reason)
		}
	}
	_, _ = fmt.Fprintln(t)
	return t.Flush()
}
