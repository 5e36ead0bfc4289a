package constructs

import (
	"github.com/writ-dsr/writ/infra/jsii"
)

// Table names one of the ledger's tables: the tables are cut by who may write,
// for IAM reaches a partition key and not a sort key.
type Table string

// The ledger's tables.
const (
	Requests    Table = "Requests"
	Subjects    Table = "Subjects"
	Tasks       Table = "Tasks"
	Events      Table = "Events"
	Holds       Table = "Holds"
	Tokens      Table = "Tokens"
	Suppression Table = "Suppression"
)

// Tables lists them in the order of the design.
func Tables() []Table {
	return []Table{Requests, Subjects, Tasks, Events, Holds, Tokens, Suppression}
}

// OpenIndex is the index of requests by shelf (open, scheduled, ended) and date.
const OpenIndex = "OPEN"

// Prefixes of the bucket and the days after which the lifecycle deletes what an
// explicit deletion has missed.
const (
	Exports     = "exports/"
	Bundles     = "bundles/"
	Uploads     = "uploads/"
	exportsDays = 60
	bundlesDays = 30
	uploadsDays = 60
)

// signatureAge is how old the signature of a link into the bucket may be, in
// milliseconds: five minutes. A form for an upload discloses nothing and lives
// as long as it says itself, for a person chooses files in that time.
const signatureAge = "300000"

// recoveryDays is how long a deleted record can be brought back, and therefore
// how long deleted data lives on; the retention notice names it.
const recoveryDays = 7

// Data is everything that is kept: it survives the stack.
type Data struct {
	Tables map[Table]jsii.Ref
	Bucket jsii.Ref
	Key    jsii.Ref // tables, bucket and the data keys of requests
	MacKey jsii.Ref // keyed hashes of identities
}

type column struct {
	name string
	kind string // STRING or NUMBER
}

type shape struct {
	partition column
	sort      column
	recover   bool
	expires   string // TTL attribute
}

// shapes are the keys of the tables. The subjects have no point-in-time
// recovery, so that deleting a wrapped key deletes it; tokens live too short.
func shapes() map[Table]shape {
	text := func(name string) column { return column{name, "STRING"} }
	return map[Table]shape{
		Requests:    {partition: text("id"), recover: true},
		Subjects:    {partition: text("pk")},
		Tasks:       {partition: text("request_id"), sort: text("task"), recover: true},
		Events:      {partition: text("chain"), sort: column{"seq", "NUMBER"}, recover: true},
		Holds:       {partition: text("key"), recover: true},
		Tokens:      {partition: text("hash"), expires: "ttl"},
		Suppression: {partition: text("hash"), recover: true},
	}
}

// NewData declares tables, keys and bucket. They are retained when the stack
// goes; only on an emulator may a table be deleted and the bucket be reached
// without TLS.
func NewData(s Scope, emulator bool) Data {
	d := Data{Tables: map[Table]jsii.Ref{}}
	d.Key = s.New("aws_kms.Key", "KeyData", jsii.Map{
		"description":       "Writ: tables, bucket and the data keys of requests",
		"enableKeyRotation": true,
		"removalPolicy":     enum("RemovalPolicy/RETAIN"),
	})
	d.MacKey = s.New("aws_kms.Key", "KeyMac", jsii.Map{
		"description":   "Writ: keyed hashes of identities; its hashes carry a version, a new key starts the next",
		"keySpec":       enum("aws_kms.KeySpec/HMAC_256"),
		"keyUsage":      enum("aws_kms.KeyUsage/GENERATE_VERIFY_MAC"),
		"removalPolicy": enum("RemovalPolicy/RETAIN"),
	})
	for _, t := range Tables() {
		d.Tables[t] = d.table(s, t, shapes()[t], emulator)
	}
	s.K.Invoke(d.Tables[Requests], "addGlobalSecondaryIndex", jsii.Map{
		"indexName":    OpenIndex,
		"partitionKey": attribute(column{"open", "STRING"}),
		"sortKey":      attribute(column{"due_at", "STRING"}),
		// The reader takes ids from it and reads the requests themselves.
		"projectionType": enum("aws_dynamodb.ProjectionType/KEYS_ONLY"),
	})
	d.Bucket = d.bucket(s, emulator)
	return d
}

func attribute(c column) jsii.Map {
	return jsii.Map{"name": c.name, "type": enum("aws_dynamodb.AttributeType/" + c.kind)}
}

func (d Data) table(s Scope, t Table, sh shape, emulator bool) jsii.Ref {
	props := jsii.Map{
		"partitionKey":       attribute(sh.partition),
		"billingMode":        enum("aws_dynamodb.BillingMode/PAY_PER_REQUEST"),
		"encryption":         enum("aws_dynamodb.TableEncryption/CUSTOMER_MANAGED"),
		"encryptionKey":      d.Key,
		"deletionProtection": !emulator,
		"removalPolicy":      enum("RemovalPolicy/RETAIN"),
	}
	if sh.sort.name != "" {
		props["sortKey"] = attribute(sh.sort)
	}
	if sh.recover {
		props["pointInTimeRecoverySpecification"] = jsii.Map{"pointInTimeRecoveryEnabled": true, "recoveryPeriodInDays": recoveryDays}
	}
	if sh.expires != "" {
		props["timeToLiveAttribute"] = sh.expires
	}
	return s.New("aws_dynamodb.Table", "Table"+string(t), props)
}

func (d Data) bucket(s Scope, emulator bool) jsii.Ref {
	keep := func(prefix string, days int) jsii.Map {
		return jsii.Map{"prefix": prefix, "expiration": s.days(days)}
	}
	bucket := s.New("aws_s3.Bucket", "Bucket", jsii.Map{
		"encryption":        enum("aws_s3.BucketEncryption/KMS"),
		"encryptionKey":     d.Key,
		"bucketKeyEnabled":  true,
		"blockPublicAccess": s.K.GetStatic(lib+"aws_s3.BlockPublicAccess", "BLOCK_ALL").Ref(),
		"objectOwnership":   enum("aws_s3.ObjectOwnership/BUCKET_OWNER_ENFORCED"),
		"enforceSSL":        !emulator,
		"removalPolicy":     enum("RemovalPolicy/RETAIN"),
		"lifecycleRules": []any{
			keep(Exports, exportsDays), keep(Bundles, bundlesDays), keep(Uploads, uploadsDays),
			jsii.Map{"abortIncompleteMultipartUploadAfter": s.days(2)},
		},
	})
	arn := s.Text(bucket, "bucketArn")
	s.K.Invoke(bucket, "addToResourcePolicy", s.K.InvokeStatic(lib+"aws_iam.PolicyStatement", "fromJson", jsii.Map{
		"Sid":       "LinksLiveFiveMinutes",
		"Effect":    "Deny",
		"Principal": jsii.Map{"AWS": "*"},
		"Action":    "s3:*",
		"Resource":  []any{arn, arn + "/*"},
		"Condition": jsii.Map{
			"NumericGreaterThan": jsii.Map{"s3:signatureAge": signatureAge},
			"StringNotEquals":    jsii.Map{"s3:authType": "POST"},
		},
	}).Ref())
	return bucket
}
