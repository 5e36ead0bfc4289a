package constructs

import (
	"maps"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/policy"
)

// visit are the methods of the ledger that a visit to a system takes.
var visit = []string{"Append", "BeginErasing", "Request", "SaveVisit", "Subject", "TakeVisit", "Visits"}

// list are the methods beside them that listing what has expired takes.
var list = []string{"CreateRequest"}

// SystemRole is what the one function of a system may do: its own secrets, its
// own part of the exports, the ledger's tables as far as a visit goes, and, for
// a store of the company on AWS, that store alone.
func (d Data) SystemRole(s Scope, company string, sys policy.System, desc connector.Descriptor) []Statement {
	methods := visit
	if desc.Lists {
		methods = append(slices.Clone(visit), list...)
	}
	out := d.Ledger(s, methods)
	out = append(out, d.Objects(s, Exports+"*/"+sys.ID+"/*", "s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")...)
	keys := []string{"kms:Decrypt"}
	if desc.Lists {
		keys = append(keys, "kms:GenerateDataKey") // each person who is listed gets a request with a key of its own
	}
	out = append(out, d.Use(s, keys...), d.Hash(s))
	if len(desc.Secrets) > 0 {
		var names []string
		for _, secret := range slices.Sorted(maps.Keys(desc.Secrets)) {
			names = append(names, s.ARN("ssm", "parameter/writ/"+company+"/"+sys.ID+"/"+secret))
		}
		out = append(out, Statement{Actions: []string{"ssm:GetParameter"}, Resources: names})
	}
	switch sys.Connector {
	case "s3":
		out = append(out, s.ownBucket(sys.Settings["bucket"], sys.Settings["prefix"])...)
	case "dynamodb":
		out = append(out, s.ownTable(sys.Settings["table"])...)
	}
	return out
}

// ownBucket is what erasing a person's objects takes: all versions of them,
// half-made uploads, and a look at what Object Lock forbids. Nothing outside
// the fixed part of the place where people's objects lie can be read.
func (s Scope) ownBucket(name, place string) []Statement {
	if name == "" {
		return nil
	}
	fixed, _, _ := strings.Cut(place, "{")
	bucket := "arn:" + s.Text(s.Ref, "partition") + ":s3:::" + name
	return []Statement{
		{Actions: []string{"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"}, Resources: []string{bucket}},
		{Actions: []string{
			"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectLegalHold",
			"s3:GetObjectRetention", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging",
		}, Resources: []string{bucket + "/" + fixed + "*"}},
	}
}

// ownTable is what erasing a person's items of the company's own table takes.
func (s Scope) ownTable(name string) []Statement {
	if name == "" {
		return nil
	}
	table := s.ARN("dynamodb", "table/"+name)
	return []Statement{{
		Actions:   []string{"dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"},
		Resources: []string{table, table + "/index/*"},
	}}
}

// VisitCalls lists the methods of the ledger that a system's function may call
// in a visit.
func VisitCalls() []string { return slices.Clone(visit) }

// ListCalls lists those it may call too where its system can tell what has expired.
func ListCalls() []string { return slices.Clone(list) }
