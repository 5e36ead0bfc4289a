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

// SystemRole is what the one function of a system may do: its own secrets, its
// own part of the exports, the ledger's tables as far as a visit goes, and, for
// a store of the company on AWS, that store alone.
func (d Data) SystemRole(s Scope, company string, sys policy.System, desc connector.Descriptor) []Statement {
	out := d.Ledger(s, visit)
	out = append(out, d.Objects(s, Exports+"*/"+sys.ID+"/*", "s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")...)
	out = append(out, d.Use(s, "kms:Decrypt"), d.Hash(s))
	if len(desc.Secrets) > 0 {
		var names []string
		for _, secret := range slices.Sorted(maps.Keys(desc.Secrets)) {
			names = append(names, s.ARN("ssm", "parameter/writ/"+company+"/"+sys.ID+"/"+secret))
		}
		out = append(out, Statement{Actions: []string{"ssm:GetParameter"}, Resources: names})
	}
	switch sys.Connector {
	case "s3":
		out = append(out, s.ownBuckets(words(sys.Settings["bucket"]))...)
	case "dynamodb":
		out = append(out, s.ownTables(words(sys.Settings["table"]))...)
	}
	return out
}

// words splits a setting that may name several things.
func words(setting string) []string {
	return strings.FieldsFunc(setting, func(r rune) bool { return r == ',' || r == ' ' })
}

// ownBuckets is what erasing a person's objects takes: all versions of them,
// and a look at what Object Lock forbids.
func (s Scope) ownBuckets(names []string) []Statement {
	if len(names) == 0 {
		return nil
	}
	var buckets, objects []string
	for _, n := range names {
		arn := "arn:" + s.Text(s.Ref, "partition") + ":s3:::" + n
		buckets, objects = append(buckets, arn), append(objects, arn+"/*")
	}
	return []Statement{
		{Actions: []string{"s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketVersions"}, Resources: buckets},
		{Actions: []string{
			"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectLegalHold", "s3:GetObjectRetention",
			"s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging",
		}, Resources: objects},
	}
}

// ownTables is what erasing a person's items of the company's tables takes.
func (s Scope) ownTables(names []string) []Statement {
	if len(names) == 0 {
		return nil
	}
	var tables []string
	for _, n := range names {
		arn := s.ARN("dynamodb", "table/"+n)
		tables = append(tables, arn, arn+"/index/*")
	}
	return []Statement{{
		Actions:   []string{"dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"},
		Resources: tables,
	}}
}

// VisitCalls lists the methods of the ledger that a system's function may call.
func VisitCalls() []string { return slices.Clone(visit) }
