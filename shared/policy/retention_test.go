package policy

import (
	"testing"
	"time"
)

func TestExpiriesWaitForTheLongestGround(t *testing.T) {
	c, err := Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	app, _ := c.System("app")
	at := func(c *Company) map[string]string {
		all := map[string]string{}
		for _, x := range c.Expiries(app, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)) {
			all[x.Category] = x.Before.Format(time.DateOnly) + " " + x.Ground
		}
		return all
	}
	got := at(c)
	for category, want := range map[string]string{
		"account":   "2023-11-22 ", // three years after closure
		"marketing": "2024-11-22 ", // two years of inactivity
		"payments":  "2019-11-22 us_tax_records",
	} {
		if got[category] != want {
			t.Errorf("%s expires before %q, want %q", category, got[category], want)
		}
	}
	if before, there := got["study_groups"]; there {
		t.Errorf("a category without a period expires before %s", before)
	}
	longer := *c
	longer.Grounds = append([]Ground{{ID: "books", Categories: []string{"account"}, Years: 5, YearEnd: true}, {ID: "short", Categories: []string{"account", "marketing"}, Years: 1}}, c.Grounds...)
	got = at(&longer)
	if got["account"] != "2020-11-22 books" {
		t.Errorf("an account that books refer to expires before %s", got["account"])
	}
	if got["marketing"] != "2024-11-22 short" {
		t.Errorf("a shorter ground moves the end to %s", got["marketing"])
	}
}
