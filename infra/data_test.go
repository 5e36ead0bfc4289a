package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/constructs"
)

func TestWhatIsKeptSurvivesTheStack(t *testing.T) {
	for _, name := range []string{product, emulated} {
		tpl := stackOf(t, name)
		for _, kind := range []string{"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket"} {
			for id, r := range tpl.of(kind) {
				if r.DeletionPolicy != "Retain" {
					t.Errorf("%s: %s has the deletion policy %q", name, id, r.DeletionPolicy)
				}
			}
		}
		for id, r := range tpl.of("AWS::DynamoDB::Table") {
			if got, want := r.Properties["DeletionProtectionEnabled"], name != emulated; got != want {
				t.Errorf("%s: %s has deletion protection %v, want %v", name, id, got, want)
			}
			if r.Properties["BillingMode"] != "PAY_PER_REQUEST" {
				t.Errorf("%s: %s is billed %v", name, id, r.Properties["BillingMode"])
			}
			if sse := line(r.Properties["SSESpecification"]); !strings.Contains(sse, "KeyData") {
				t.Errorf("%s: %s is sealed with %s", name, id, sse)
			}
		}
	}
	if n := len(stackOf(t, product).of("AWS::DynamoDB::Table")); n != 7 {
		t.Errorf("%d tables, want 7", n)
	}
}

func TestRecoveryAndExpiry(t *testing.T) {
	tpl := stackOf(t, product)
	for _, table := range constructs.Tables() {
		p := tpl.one(t, "Table"+string(table)).Properties
		want := `{"PointInTimeRecoveryEnabled":true,"RecoveryPeriodInDays":7}`
		if table == constructs.Subjects || table == constructs.Tokens {
			want = ""
		}
		if got := line(p["PointInTimeRecoverySpecification"]); got != want {
			t.Errorf("%s: recovery %s, want %s", table, got, want)
		}
		ttl := ""
		if table == constructs.Tokens {
			ttl = `{"AttributeName":"ttl","Enabled":true}`
		}
		if got := line(p["TimeToLiveSpecification"]); got != ttl {
			t.Errorf("%s: expiry %s, want %s", table, got, ttl)
		}
	}
	index := line(tpl.one(t, "TableRequests").Properties["GlobalSecondaryIndexes"])
	for _, part := range []string{`"IndexName":"OPEN"`, `{"AttributeName":"open","KeyType":"HASH"}`, `{"AttributeName":"due_at","KeyType":"RANGE"}`} {
		if !strings.Contains(index, part) {
			t.Errorf("the index of open requests is %s, want %s in it", index, part)
		}
	}
}

func TestKeys(t *testing.T) {
	tpl := stackOf(t, product)
	if p := tpl.one(t, "KeyData").Properties; p["EnableKeyRotation"] != true {
		t.Error("the data key does not rotate")
	}
	if p := tpl.one(t, "KeyMac").Properties; p["KeySpec"] != "HMAC_256" || p["KeyUsage"] != "GENERATE_VERIFY_MAC" {
		t.Errorf("the key for keyed hashes is %v for %v", p["KeySpec"], p["KeyUsage"])
	}
}

func TestBucket(t *testing.T) {
	tpl := stackOf(t, product)
	p := tpl.one(t, "Bucket").Properties
	if got := line(p["PublicAccessBlockConfiguration"]); strings.Count(got, "true") != 4 {
		t.Errorf("public access is blocked as %s", got)
	}
	if got := line(p["BucketEncryption"]); !strings.Contains(got, `"BucketKeyEnabled":true`) || !strings.Contains(got, "KeyData") {
		t.Errorf("objects are sealed as %s", got)
	}
	if p["VersioningConfiguration"] != nil || p["ObjectLockEnabled"] != nil {
		t.Error("deleted objects would live on")
	}
	days := map[string]float64{}
	for _, r := range list(p["LifecycleConfiguration"].(map[string]any)["Rules"]) {
		rule := r.(map[string]any)
		if rule["Status"] != "Enabled" {
			t.Errorf("lifecycle rule %v is off", rule)
		}
		if prefix, ok := rule["Prefix"].(string); ok {
			days[prefix] = rule["ExpirationInDays"].(float64)
		} else if line(rule["AbortIncompleteMultipartUpload"]) != `{"DaysAfterInitiation":2}` {
			t.Errorf("lifecycle rule %v", rule)
		}
	}
	if want := map[string]float64{"exports/": 60, "bundles/": 30, "uploads/": 60}; !maps.Equal(days, want) {
		t.Errorf("objects expire after %v, want %v", days, want)
	}
	denials := func(name string) string {
		var out []string
		for _, s := range list(stackOf(t, name).one(t, "BucketPolicy").Properties["PolicyDocument"].(map[string]any)["Statement"]) {
			if st := s.(map[string]any); st["Effect"] == "Deny" {
				out = append(out, line(st["Condition"]))
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	links := `{"NumericGreaterThan":{"s3:signatureAge":"300000"},"StringNotEquals":{"s3:authType":"POST"}}`
	if got := denials(product); got != `{"Bool":{"aws:SecureTransport":"false"}} `+links {
		t.Errorf("the bucket denies %s", got)
	}
	if got := denials(emulated); got != links {
		t.Errorf("on an emulator, which has no TLS, the bucket denies %s", got)
	}
}
