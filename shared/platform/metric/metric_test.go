package metric_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/platform/metric"
)

func TestCountIsOneLineThatCloudWatchReads(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	metric.New("pythonmaster", &out, func() time.Time { return at }).Count(metric.NeedsAttention, 3)
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.HasSuffix(out.String(), "\n") {
		t.Fatalf("the metric is %d lines: %q", n, out.String())
	}
	var line struct {
		AWS struct {
			Timestamp int64
			Metrics   []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			} `json:"CloudWatchMetrics"`
		} `json:"_aws"`
		Company        string `json:"company"`
		NeedsAttention int    `json:"needs_attention"`
	}
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&line); err != nil {
		t.Fatal(err)
	}
	m := line.AWS.Metrics
	if len(m) != 1 || m[0].Namespace != "Writ" || len(m[0].Dimensions) != 1 || len(m[0].Dimensions[0]) != 1 || m[0].Dimensions[0][0] != "company" ||
		len(m[0].Metrics) != 1 || m[0].Metrics[0].Name != "needs_attention" || m[0].Metrics[0].Unit != "Count" {
		t.Errorf("declared as %+v", m)
	}
	if line.Company != "pythonmaster" || line.NeedsAttention != 3 || line.AWS.Timestamp != at.UnixMilli() {
		t.Errorf("written as %+v", line)
	}
}
