package connector

import (
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Expired asks Locate for people instead of one person's records: those of
// whom every record of a data category is older than the company keeps it. A
// driver whose descriptor says lists = true answers a page of them in
// Footprint.People, and with Footprint.Next where the page after it begins;
// Task.Identities is empty.
type Expired struct {
	Category string
	Before   time.Time // what the pack's period counts from lies before this
	After    string    // Footprint.Next of the page before; never leaves the process
	Limit    int       // people in a page
}

// Overdue is one person whose records of a category have expired.
type Overdue struct {
	Identities []dsr.Identity // by which the system finds them
	Since      time.Time      // the latest date of their records
}
