package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

func day(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// today is the day on which the rows are looked up.
const today = "2026-11-22"

// established returns the test company as if it were established there.
func established(t *testing.T, in string) *policy.Company {
	t.Helper()
	c := promising(t, 0, "UTC")
	c.Controller.EstablishedIn = in
	return c
}

// law returns the law of a place for a company that is established nowhere.
func law(t *testing.T, place dsr.Place) policy.Regime {
	t.Helper()
	return established(t, "other").Regime(place)
}

func TestLaws(t *testing.T) {
	for _, c := range []struct {
		in    string
		place dsr.Place
		want  string
	}{
		{"us", "PL", "gdpr"}, {"us", "pl", "gdpr"}, {"us", " NO ", "gdpr"}, {"us", "GB", "uk_gdpr"}, {"us", "CH", "ch_fadp"}, {"us", "BR", "lgpd"},
		{"us", "US", "us_default"}, {"us", "US-CA", "ccpa"}, {"us", "us-ca", "ccpa"}, {"us", "US-TX", "us_default"}, {"us", "US-NY", "us_default"}, {"us", "US-ZZ", "us_default"},
		{"us", "", "gdpr?"}, {"us", "JP", "gdpr?"}, {"us", "other", "gdpr?"}, {"us", "PL-14", "gdpr"},
		{"eea", "US-CA", "gdpr ccpa"}, {"eea", "US", "gdpr us_default"}, {"eea", "GB", "gdpr uk_gdpr"}, {"eea", "PL", "gdpr"}, {"eea", "", "gdpr"}, {"eea", "JP", "gdpr"},
		{"uk", "PL", "gdpr uk_gdpr"}, {"uk", "US", "uk_gdpr us_default"}, {"uk", "JP", "uk_gdpr"},
		{"ch", "US-CA", "ch_fadp ccpa"}, {"br", "US", "lgpd us_default"}, {"other", "BR", "lgpd"},
	} {
		company := established(t, c.in)
		var got []string
		for _, r := range company.Laws(c.place) {
			if r.Name == "" || r.Complain == "" || r.Court == "" || len(r.Plain) == 0 {
				t.Errorf("%s lacks its words: %+v", r.ID, r.Name)
			}
			if r.Assumed {
				r.ID += "?"
			}
			got = append(got, r.ID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("established in %s, %q: laws %v, want %s", c.in, c.place, got, c.want)
		}
		if first := company.Regime(c.place); first.ID != strings.TrimSuffix(got[0], "?") {
			t.Errorf("%q: the first law is %s, want %s", c.place, first.ID, got[0])
		}
	}
}

// Utah's act gives no appeal, so nobody is told of one.
func TestAnAppealIsNamedWhereTheLawGivesOne(t *testing.T) {
	for place, want := range map[dsr.Place]bool{"US-VA": true, "US": true, "US-UT": false, "US-CA": false, "PL": false} {
		if got := law(t, place).Appeal != ""; got != want {
			t.Errorf("%s: an appeal is named: %v, want %v", place, got, want)
		}
	}
}

func TestKnownPlaces(t *testing.T) {
	c := established(t, "us")
	for place, want := range map[dsr.Place]bool{
		"PL": true, "pl": true, "US": true, "US-CA": true, "US-NY": true, "US-DC": true, "PL-14": true,
		"": false, "JP": false, "XX": false, "US-ZZ": false, "JP-13": false,
	} {
		if got := c.KnownPlace(place); got != want {
			t.Errorf("%q is known: %v, want %v", place, got, want)
		}
	}
}

// Every row of the facts is a row of the data.
func TestEveryRowOfLawIsThere(t *testing.T) {
	const table = `EU-ALL EU-15 EU-16 EU-17 EU-18 EU-19 EU-20 EU-21 EU-21M EU-22 EU-7 EU-77 EU-33 EU-34 EU-8 EU-DO
		UK-ALL UK-STC UK-CMP UK-DUAA
		CA-ACK CA-KNOW-C CA-KNOW-S CA-LOOK CA-DEL CA-PASS CA-COR CA-OPT CA-GPC CA-LIM CA-OPTIN CA-AGT CA-HH CA-MIN CA-REC CA-MET CA-ND CA-STL CA-FREQ
		BR-15 BR-18 BR-20 US-45 US-APP US-IA US-26 PL-ACC NO-BKF US-TAX`
	rows := policy.LawRows()
	for _, id := range strings.Fields(table) {
		i := slices.IndexFunc(rows, func(r policy.LawRow) bool { return r.ID == id })
		if i < 0 {
			t.Errorf("no regime has the row %s", id)
		} else if rows[i].Cite == "" {
			t.Errorf("%s has no cite", id)
		}
	}
	for _, state := range strings.Fields("VA CO CT UT TX OR MT NE DE NH NJ TN MN MD IN KY RI FL IA") {
		if !slices.ContainsFunc(rows, func(r policy.LawRow) bool { return r.ID == "US-ACT-"+state }) {
			t.Errorf("the act of %s is not there", state)
		}
	}
	if len(rows) < 250 {
		t.Errorf("%d rows of law, want all", len(rows))
	}
}

// What the facts mark as general knowledge says so.
func TestRowsFromGeneralKnowledgeAreMarked(t *testing.T) {
	list := strings.Join(established(t, "us").Recheck(), "\n")
	for _, id := range strings.Fields("US-45 US-IA US-APP US-TAX CA-STL CA-FREQ CA-MET CA-COR PL-ACC NO-BKF CH-25 EU-8-SI EU-8-IS EU-8-LI BR-SMALL BR-14") {
		if !strings.Contains(list, id+": ") {
			t.Errorf("%s is not listed as one to be read again", id)
		}
	}
	for _, id := range strings.Fields("EU-ALL CA-45 CA-ACK CA-OPT EU-8-DK EU-8-PL") {
		if strings.Contains(list, id+": ") {
			t.Errorf("%s is listed as one to be read again, though it was checked", id)
		}
	}
}

func TestRulesByRightPlaceAndDay(t *testing.T) {
	for _, c := range []struct {
		place dsr.Place
		right dsr.Right
		on    string
		want  string // id and clock; "" for no rule
	}{
		{"PL", dsr.Access, today, "EU-15 EU-ALL"},
		{"PL", dsr.ObjectionMarketing, today, "EU-21M EU-NOW"},
		{"PL", dsr.Access, "2018-05-24", ""},
		{"PL", dsr.ShineTheLight, today, ""},
		{"GB", dsr.HumanReview, "2026-02-04", "UK-DUAA UK-ALL"},
		{"GB", dsr.Complaint, "2026-06-18", ""},
		{"GB", dsr.Complaint, "2026-06-19", "UK-CMP UK-CMP"},
		{"US-CA", dsr.Rectification, "2022-12-31", ""},
		{"US-CA", dsr.Rectification, "2023-01-01", "CA-COR CA-45"},
		{"US-CA", dsr.OptOutOfSale, today, "CA-OPT CA-15B"},
		{"US-CA", dsr.Appeal, today, ""},
		{"US", dsr.Access, today, "US-45 US-45"},
		{"US-IA", dsr.Access, today, "US-IA US-IA"},
		{"US-IA", dsr.Rectification, today, ""},
		{"US-IA", dsr.Appeal, today, "US-APP US-APP-60"},
		{"US-VA", dsr.Appeal, today, "US-APP US-APP-60"},
		{"US-CO", dsr.Appeal, today, "US-APP US-APP-45-60"},
		{"US-OR", dsr.Appeal, today, "US-APP US-APP-45"},
		{"US-UT", dsr.Appeal, today, ""},
		{"US-UT", dsr.Rectification, "2026-06-30", ""},
		{"US-UT", dsr.Rectification, "2026-07-01", "US-26 US-45"},
		{"US-VA", dsr.Rectification, "2026-06-30", "US-45-COR US-45"},
		{"US-CT", dsr.Recipients, "2026-06-30", ""},
		{"US-CT", dsr.Recipients, "2026-07-01", "US-26 US-45"},
		{"US-OR", dsr.Recipients, "2026-06-30", "US-26-LIST US-45"},
		{"BR", dsr.Access, today, "BR-15 BR-15"},
		{"CH", dsr.Access, today, "CH-25 CH-25"},
	} {
		rule, ok := law(t, c.place).Rule(c.right, day(t, c.on))
		if got := strings.TrimSpace(rule.ID + " " + rule.Clock); got != c.want || ok != (c.want != "") {
			t.Errorf("%s, %s on %s: rule %q, want %q", c.place, c.right, c.on, got, c.want)
		}
	}
	gdpr := law(t, "PL")
	if rule, _ := gdpr.Rule(dsr.Portability, day(t, today)); !rule.Provided || !slices.Equal(rule.Basis, []string{"consent", "contract"}) {
		t.Errorf("portability reaches %+v", rule)
	}
	if k, ok := gdpr.ClockOf(dsr.Inquiry, day(t, today)); !ok || k.ID != "EU-ALL" {
		t.Errorf("an inquiry has the clock %s", k.ID)
	}
}

func TestDutiesComeAlong(t *testing.T) {
	ids := func(place dsr.Place, right dsr.Right, on string) []string {
		var out []string
		for _, d := range law(t, place).DutiesOf(right, day(t, on)) {
			out = append(out, d.ID)
		}
		return out
	}
	if got := ids("US-CA", dsr.Erasure, today); !slices.Contains(got, "CA-PASS") || !slices.Contains(got, "CA-AGT") || slices.Contains(got, "CA-LOOK") || slices.Contains(got, "CA-MET") {
		t.Errorf("with a deletion come %v", got)
	}
	if got := ids("PL", dsr.Rectification, today); !slices.Contains(got, "EU-19") || !slices.Contains(got, "EU-77") || slices.Contains(got, "EU-33") {
		t.Errorf("with a correction come %v", got)
	}
	// The look-back of California since 2026.
	for on, want := range map[string]string{"2025-12-31": "", "2026-01-01": "2022-01-01"} {
		for _, d := range law(t, "US-CA").DutiesOf(dsr.Access, day(t, on)) {
			if d.ID == "CA-LOOK" && d.LookBack != want {
				t.Errorf("on %s one may ask back to %q, want %q", on, d.LookBack, want)
			}
		}
	}
}

func TestAgesOfConsent(t *testing.T) {
	ages := map[int]string{
		13: "BE EE FI LV MT PT SE IS NO GB US-CA", 14: "AT BG CY IT LT ES", 15: "CZ FR GR SI DK", 16: "DE HR HU IE LI LU NL PL RO SK", 12: "BR",
	}
	for years, places := range ages {
		for _, p := range strings.Fields(places) {
			if a, ok := law(t, dsr.Place(p)).Age(dsr.Place(p), day(t, today)); !ok || a.Years != years {
				t.Errorf("%s: %d years, want %d", p, a.Years, years)
			}
		}
	}
	for on, want := range map[string]int{"2023-12-31": 13, "2024-01-01": 15} {
		if a, _ := law(t, "DK").Age("DK", day(t, on)); a.Years != want {
			t.Errorf("Denmark on %s: %d years, want %d", on, a.Years, want)
		}
	}
	if a, ok := law(t, "US-TX").Age("US-TX", day(t, today)); !ok || a.Years != 13 {
		t.Errorf("a state has the age of its country: %d, want 13", a.Years)
	}
	if _, ok := law(t, "CH").Age("CH", day(t, today)); ok {
		t.Error("Swiss law has an age of consent to online services")
	}
}

func TestAuthorities(t *testing.T) {
	for place, want := range map[dsr.Place]string{
		"PL": "UODO", "NO": "Datatilsynet", "BE": "APD", "DE": "BfDI", "FR": "CNIL", "IE": "DPC", "GB": "ICO", "CH": "FDPIC", "BR": "ANPD", "US-CA": "California Privacy Protection Agency",
	} {
		if a, ok := law(t, place).Authority(place); !ok || !strings.Contains(a.Name, want) || !strings.HasPrefix(a.Contact, "https://") {
			t.Errorf("%s: authority %+v, want %s", place, a, want)
		}
	}
	for _, place := range law(t, "PL").Residents {
		if a, ok := law(t, "PL").Authority(place); !ok || a.Country != place {
			t.Errorf("%s has no authority", place)
		}
		if _, ok := law(t, "PL").Age(place, day(t, today)); !ok {
			t.Errorf("%s has no age", place)
		}
	}
	if _, ok := law(t, "US-TX").Authority("US-TX"); ok {
		t.Error("Texas has an authority of its own; the regime's sentence names the attorney general")
	}
}

// A duty of one country is no ground under the law of another, and a business
// purpose is none anywhere.
func TestTheClosedListOfGrounds(t *testing.T) {
	for _, c := range []struct {
		place              dsr.Place
		kind, jurisdiction string
		want               string
	}{
		{"PL", "legal_obligation", "PL", "EU-17-3-B"}, {"PL", "legal_obligation", "NO", "EU-17-3-B"}, {"PL", "legal_obligation", "EU", "EU-17-3-B"},
		{"PL", "legal_obligation", "US", ""}, {"PL", "legal_obligation", "GB", ""}, {"PL", "legal_claims", "US", "EU-17-3-E"},
		{"PL", "expression", "PL", "EU-17-3-A"}, {"PL", "public_health", "PL", "EU-17-3-C"}, {"PL", "research", "PL", "EU-17-3-D"},
		{"PL", "contract", "PL", ""}, {"PL", "security", "PL", ""}, {"PL", "internal_use", "PL", ""},
		{"GB", "legal_obligation", "GB", "UK-17-3-B"}, {"GB", "legal_obligation", "PL", ""}, {"GB", "legal_obligation", "US", ""},
		{"US-CA", "legal_obligation", "US", "CA-105D-8"}, {"US-CA", "internal_use", "US", "CA-105D-7"}, {"US-CA", "legal_process", "US", "CA-105D-5"},
		{"US", "legal_obligation", "US", "US-EX-LAW"}, {"BR", "legal_obligation", "BR", "BR-16-I"}, {"BR", "legal_obligation", "US", ""}, {"BR", "anonymised_use", "BR", "BR-16-IV"},
		{"CH", "legal_obligation", "CH", "CH-31-LAW"}, {"CH", "legal_obligation", "US", ""},
	} {
		g, ok := law(t, c.place).LegalGround(c.kind, c.jurisdiction)
		if g.ID != c.want || ok != (c.want != "") {
			t.Errorf("%s: %s by the law of %s: ground %q, want %q", c.place, c.kind, c.jurisdiction, g.ID, c.want)
		}
	}
	for _, place := range []dsr.Place{"PL", "GB", "CH", "BR", "US", "US-CA"} {
		for _, j := range []string{"", "US", "PL", "EU"} {
			if g, ok := law(t, place).LegalGround("business_purpose", j); ok {
				t.Errorf("%s: a business purpose blocks by %s", place, g.ID)
			}
		}
	}
}

func TestProofTable(t *testing.T) {
	for _, c := range []struct {
		place       dsr.Place
		right       dsr.Right
		sensitivity string
		by          dsr.Requester
		want        string
	}{
		{"PL", dsr.Access, "low", "", "[mailbox]"},
		{"PL", dsr.Access, "high", dsr.Self, "[mailbox match_points(2)]"},
		{"PL", dsr.Erasure, "low", "", "[mailbox]"},
		{"GB", dsr.Erasure, "low", "", "[mailbox]"}, {"BR", dsr.Erasure, "low", "", "[mailbox]"}, {"US-TX", dsr.Erasure, "low", "", "[mailbox]"}, {"CH", dsr.Access, "low", "", "[mailbox]"},
		{"PL", dsr.ObjectionMarketing, "high", "", "[]"}, {"PL", dsr.ConsentWithdrawal, "low", dsr.Agent, "[]"},
		{"PL", dsr.Access, "low", dsr.Agent, "[mailbox permission]"}, {"PL", dsr.Erasure, "low", dsr.Parent, "[mailbox parent]"},
		{"PL", dsr.Erasure, "low", dsr.Unmailable, "[match_points(3)]"}, {"PL", dsr.ChildReport, "low", dsr.Reporter, "[]"},
		{"US-CA", dsr.KnowCategories, "low", "", "[mailbox match_points(2)]"},
		{"US-CA", dsr.Access, "low", "", "[mailbox match_points(3) declaration]"},
		{"US-CA", dsr.Erasure, "low", "", "[mailbox match_points(2)]"}, {"US-CA", dsr.Erasure, "high", "", "[mailbox match_points(3)]"},
		{"US-CA", dsr.OptOutOfSale, "high", "", "[]"}, {"US-CA", dsr.OptOutOfSale, "low", dsr.Agent, "[permission]"}, {"US-CA", dsr.LimitSensitive, "low", "", "[]"},
		{"US-CA", dsr.Erasure, "low", dsr.Attorney, "[document]"},
		{"US-CA", dsr.Access, "low", dsr.Unmailable, "[match_points(3) declaration]"},
	} {
		p, ok := law(t, c.place).ProofRow(c.right, c.sensitivity, c.by)
		got := "["
		for i, x := range p.Needs {
			if i > 0 {
				got += " "
			}
			got += string(x)
		}
		if got += "]"; !ok || got != c.want {
			t.Errorf("%s, %s, %s, by %q: %s by %s, want %s", c.place, c.right, c.sensitivity, c.by, got, p.ID, c.want)
		}
	}
	if p, _ := law(t, "US-CA").ProofRow(dsr.Access, "low", ""); p.Lesser != dsr.KnowCategories {
		t.Errorf("falling short of specific pieces gives %q, want the categories", p.Lesser)
	}
}

// The table has an answer for everybody, and what only stops something asks the
// person for nothing.
func TestTheProofTableHasNoHole(t *testing.T) {
	for _, place := range []dsr.Place{"PL", "GB", "CH", "BR", "US", "US-CA"} {
		regime := law(t, place)
		for _, right := range dsr.Rights() {
			for _, sensitivity := range []string{"low", "high"} {
				for _, by := range []dsr.Requester{"", dsr.Self, dsr.Agent, dsr.Attorney, dsr.Parent, dsr.School, dsr.Reporter, dsr.Successor, dsr.Unmailable} {
					p, ok := regime.ProofRow(right, sensitivity, by)
					if !ok || p.Cite == "" || p.Says == "" {
						t.Fatalf("%s, %s, %s, by %q: no proof row", regime.ID, right, sensitivity, by)
					}
					if right.Proofless() && len(p.Needs) > 0 && (by != dsr.Agent || !slices.Equal(p.Needs, []policy.Proof{policy.Permission})) {
						t.Errorf("%s: %s by %q asks for %v", regime.ID, right, by, p.Needs)
					}
					if right.Means() == dsr.ByCopy && len(p.Needs) == 0 {
						t.Errorf("%s: %s is given to anybody who says to be %q", regime.ID, right, by)
					}
				}
			}
		}
	}
}

// Each law gives, for each right it knows, a clock that is in force today.
func TestEveryRuleHasItsClock(t *testing.T) {
	on := day(t, today)
	for _, place := range []dsr.Place{"PL", "GB", "CH", "BR", "US", "US-IA", "US-CO", "US-CA"} {
		regime := law(t, place)
		for _, right := range dsr.Rights() {
			if rule, ok := regime.Rule(right, on); ok && (len(rule.Notices) == 0 || len(rule.Evidence) == 0) {
				t.Errorf("%s names no notice or no evidence", rule.ID)
			}
			if k, ok := regime.ClockOf(right, on); !ok || k.Says == "" {
				t.Errorf("%s: %s has no clock in force", regime.ID, right)
			}
		}
	}
}

func TestDutiesToKeepRecords(t *testing.T) {
	c := established(t, "eea")
	for id, want := range map[string]int{"PL-ACC": 5, "NO-BKF": 5, "EU-OSS": 10, "US-TAX": 7} {
		if k, ok := c.Keep(id); !ok || k.Years != want || k.Jurisdiction == "" || k.From == "" {
			t.Errorf("%s: %+v, want %d years", id, k, want)
		}
	}
	if _, ok := c.Keep("XX-NONE"); ok {
		t.Error("a duty nobody has is found")
	}
}

// A pack is read often; the law with it is read once.
func TestLoadingIsFast(t *testing.T) {
	load(t, "pythonmaster") // the law and the holidays are read by the first
	const most = 20 * time.Millisecond
	best := time.Hour
	for range 5 {
		start := time.Now()
		load(t, "pythonmaster")
		best = min(best, time.Since(start))
	}
	t.Logf("loading a pack takes %s", best)
	if best > most {
		t.Errorf("loading a pack takes %s, want at most %s", best, most)
	}
}
