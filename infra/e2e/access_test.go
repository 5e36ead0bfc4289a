//go:build e2e

package e2e

import (
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("reader"), Plenty())
	id := l.Start(t, "SE", "access")
	suite.AwaitStatus(t, id, dsr.Completed)
	_, link := l.Letter(t, "/download")
	file := l.Fetch(t, link)
	if len(file) == 0 {
		t.Fatal("empty")
	}
}
