// Package s3 acts on a company's own files in an S3 bucket: those below a
// person's prefix, or those that carry the person's tag. It reaches all
// versions and delete markers and the parts of uploads in progress. What Object
// Lock protects is kept; nothing is ever deleted by going round a lock.
package s3

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

//go:embed connector.toml
var descriptor []byte

// Descriptor returns the connector's declaration.
func Descriptor() (connector.Descriptor, error) { return connector.ParseDescriptor(descriptor) }

// The calls of S3 that the driver makes; *s3.Client has them all.
type (
	reading interface {
		ListObjectVersions(context.Context, *s3.ListObjectVersionsInput, ...func(*s3.Options)) (*s3.ListObjectVersionsOutput, error)
		GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
		GetObjectTagging(context.Context, *s3.GetObjectTaggingInput, ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error)
	}
	locking interface {
		GetObjectRetention(context.Context, *s3.GetObjectRetentionInput, ...func(*s3.Options)) (*s3.GetObjectRetentionOutput, error)
		GetObjectLegalHold(context.Context, *s3.GetObjectLegalHoldInput, ...func(*s3.Options)) (*s3.GetObjectLegalHoldOutput, error)
	}
	erasing interface {
		DeleteObjects(context.Context, *s3.DeleteObjectsInput, ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error)
		ListMultipartUploads(context.Context, *s3.ListMultipartUploadsInput, ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error)
		AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
	}
	api interface {
		reading
		locking
		erasing
	}
)

// Driver acts on one bucket.
type Driver struct {
	connector.Base
	api      api
	bucket   string
	category string
	place    place
	batch    int // most keys of one DeleteObjects
	now      func() time.Time
}

var _ connector.Connector = (*Driver)(nil)

// New binds the driver to a system's bucket with the credentials of the
// deployment, which are those of the system's own role. It calls nobody.
func New(cfg connector.Config) (connector.Connector, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // the machine alone retries
	}
	if region := cfg.Settings["region"]; region != "" {
		options = append(options, config.WithRegion(region))
	}
	account, err := config.LoadDefaultConfig(context.Background(), options...)
	if err != nil {
		return nil, invalid("reading the deployment's AWS configuration: it is not usable")
	}
	if account.Region == "" {
		return nil, invalid("opening system %q: its bucket's region is not known; set region", cfg.System)
	}
	if cfg.BaseURL != "" {
		if base, err := url.Parse(cfg.BaseURL); err != nil || base.Host == "" || base.Scheme != "https" && !cfg.Emulator {
			return nil, invalid("opening system %q: its base URL must be https", cfg.System)
		}
	}
	return bind(cfg, s3.NewFromConfig(account, func(o *s3.Options) {
		if cfg.BaseURL != "" {
			o.BaseEndpoint = aws.String(cfg.BaseURL)
		}
		o.UsePathStyle = cfg.Emulator
	}))
}

// bind reads the settings.
func bind(cfg connector.Config, api api) (*Driver, error) {
	d, err := Descriptor()
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckSettings(d); err != nil {
		return nil, err
	}
	for _, key := range []string{"bucket", "category"} {
		if cfg.Settings[key] == "" {
			return nil, invalid("reading the settings of system %q: %s is missing", cfg.System, key)
		}
	}
	place, err := parsePlace(cfg.Settings["prefix"], cfg.Settings["tag"])
	if err != nil {
		return nil, invalid("reading the settings of system %q: %w", cfg.System, err)
	}
	return &Driver{
		api: api, bucket: cfg.Settings["bucket"], category: cfg.Settings["category"], place: place, batch: 1000, now: cfg.Now,
	}, nil
}

func invalid(format string, args ...any) error {
	return &connector.Error{Kind: connector.Invalid, Err: fmt.Errorf(format, args...)}
}

// place says where a person's objects lie: below a prefix that names them, or
// anywhere below a fixed prefix under a tag that does.
type place struct {
	kind          dsr.Kind // identifier that the template takes
	before, after string   // of the prefix; all of it in before when a tag names the person
	tag           string   // key of the tag; empty when the prefix names the person
}

var template = regexp.MustCompile(`^([^{}]*)\{([a-z][a-z0-9_]*)\}([^{}]*)$`)

// parsePlace reads the two settings. A prefix without a / after the identifier
// would reach learner 123 in the request of learner 12.
func parsePlace(prefix, tag string) (place, error) {
	if tag != "" {
		key, value, _ := strings.Cut(tag, "=")
		m := template.FindStringSubmatch(value)
		switch {
		case key == "" || m == nil || m[1] != "" || m[3] != "":
			return place{}, errors.New("tag must read key={kind}")
		case strings.ContainsAny(prefix, "{}"):
			return place{}, errors.New("prefix must be fixed where a tag names the person")
		}
		return place{kind: dsr.Kind(m[2]), before: prefix, tag: key}, nil
	}
	m := template.FindStringSubmatch(prefix)
	switch {
	case m == nil:
		return place{}, errors.New("prefix must hold one {kind}, or a tag must name the person")
	case !strings.HasPrefix(m[3], "/") || !strings.HasSuffix(m[3], "/"):
		return place{}, errors.New("prefix must have a / after {kind} and at its end: without it, 12 would match 123 too")
	case m[1] != "" && !strings.HasSuffix(m[1], "/"):
		return place{}, errors.New("prefix must have a / before {kind}")
	case dsr.Kind(m[2]) == dsr.Email:
		return place{}, errors.New("prefix cannot hold {email}, because addresses that differ in case alone would not be seen: use tag")
	}
	return place{kind: dsr.Kind(m[2]), before: m[1], after: m[3]}, nil
}

// target is the place of one person: the value of the identifier fills in the
// template. It is personal data.
type target struct {
	prefix string
	value  string
}

// target fills the place with an identifier.
func (p place) target(value string) (target, error) {
	if p.tag != "" {
		return target{prefix: p.before, value: value}, nil
	}
	if value == "" || len(value) > 256 || value == "." || value == ".." || strings.ContainsFunc(value, func(r rune) bool { return r == '/' || r < ' ' }) {
		return target{}, invalid("finding the objects of a person: the %s cannot be part of a prefix", p.kind)
	}
	return target{prefix: p.before + value + p.after, value: value}, nil
}

// recordKind of the footprint's one record for each target: its ID is the
// identifier.
const recordKind = "owner"
