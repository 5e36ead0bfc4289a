// Package metric writes counts in CloudWatch's embedded metric format: a line
// of the log that becomes a metric, without a call.
package metric

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Namespace is where all metrics lie; their one dimension is the company.
const Namespace = "Writ"

// The metrics the alarms watch.
const (
	NeedsAttention = "needs_attention" // requests that wait for their owner
	DueSoon        = "due_soon"        // requests without an answer whose due date's margin is a day away or less
)

// Counter writes the counts of one company.
type Counter struct {
	company string
	out     io.Writer
	now     func() time.Time
}

// New returns a counter that writes to out, a function's standard output.
func New(company string, out io.Writer, now func() time.Time) *Counter {
	return &Counter{company: company, out: out, now: now}
}

// Count writes one value. It holds nothing but the name, the number and the company.
func (c *Counter) Count(name string, n int) {
	line, err := json.Marshal(map[string]any{
		"_aws": map[string]any{
			"Timestamp": c.now().UnixMilli(),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace": Namespace, "Dimensions": [][]string{{"company"}}, "Metrics": []any{map[string]string{"Name": name, "Unit": "Count"}},
			}},
		},
		"company": c.company, name: n,
	})
	if err != nil { // strings and numbers always have a JSON form
		return
	}
	_, _ = fmt.Fprintf(c.out, "%s\n", line)
}
