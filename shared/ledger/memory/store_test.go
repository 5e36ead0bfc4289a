package memory_test

import (
	"testing"

	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/ledgertest"
	"github.com/writ-dsr/writ/shared/ledger/memory"
)

func TestStore(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) ledger.Store { return memory.New() })
}
