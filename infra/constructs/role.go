package constructs

import (
	"github.com/writ-dsr/writ/infra/jsii"
)

// Statement is one permission of a role. Actions are spelled out: no role of
// the stack has an action with a star in it.
type Statement struct {
	Actions   []string
	Resources []string
	Condition jsii.Map
}

func (st Statement) json() jsii.Map {
	m := jsii.Map{"Effect": "Allow", "Action": st.Actions, "Resource": st.Resources}
	if st.Condition != nil {
		m["Condition"] = st.Condition
	}
	return m
}

// Role declares a role that only the service may take, with these permissions
// and no managed policy.
func (s Scope) Role(id, service string, statements []Statement) jsii.Ref {
	list := make([]any, len(statements))
	for i, st := range statements {
		list[i] = st.json()
	}
	props := jsii.Map{"assumedBy": s.K.Create(lib+"aws_iam.ServicePrincipal", service)}
	if len(list) > 0 {
		doc := s.K.InvokeStatic(lib+"aws_iam.PolicyDocument", "fromJson", jsii.Map{"Version": "2012-10-17", "Statement": list}).Ref()
		props["inlinePolicies"] = jsii.Map{"Writ": doc}
	}
	return s.New("aws_iam.Role", id, props)
}

// via is the use of the data key by DynamoDB or S3 on a role's behalf.
func (d Data) via(s Scope, service string, actions ...string) Statement {
	return Statement{
		Actions:   actions,
		Resources: []string{s.Text(d.Key, "keyArn")},
		Condition: jsii.Map{"StringEquals": jsii.Map{"kms:ViaService": service + "." + s.Text(s.Ref, "region") + ".amazonaws.com"}},
	}
}

// Objects are the statements for actions on the objects under a key pattern.
func (d Data) Objects(s Scope, pattern string, actions ...string) []Statement {
	return []Statement{
		{Actions: actions, Resources: []string{s.Text(d.Bucket, "bucketArn") + "/" + pattern}},
		d.via(s, "s3", "kms:Decrypt", "kms:GenerateDataKey"),
	}
}

// List is the right to list the keys under prefixes of the bucket.
func (d Data) List(s Scope, prefixes ...string) Statement {
	patterns := make([]string, len(prefixes))
	for i, p := range prefixes {
		patterns[i] = p + "*"
	}
	return Statement{
		Actions:   []string{"s3:ListBucket"},
		Resources: []string{s.Text(d.Bucket, "bucketArn")},
		Condition: jsii.Map{"StringLike": jsii.Map{"s3:prefix": patterns}},
	}
}

// Use is the direct use of the data key: for the keys of requests.
func (d Data) Use(s Scope, actions ...string) Statement {
	return Statement{Actions: actions, Resources: []string{s.Text(d.Key, "keyArn")}}
}

// Hash is the making and checking of keyed hashes.
func (d Data) Hash(s Scope) Statement {
	return Statement{Actions: []string{"kms:GenerateMac", "kms:VerifyMac"}, Resources: []string{s.Text(d.MacKey, "keyArn")}}
}
