package s3_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/connectors/s3"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

const category = "coursework"

// accounts gives the cast ids that look as alike as their addresses do.
var accounts = map[dsrtest.Person]string{
	dsrtest.Ada: "12", dsrtest.Ben: "77", dsrtest.AdaPlus: "123", dsrtest.AdaHomo: "1２", dsrtest.AdaUpper: "012", dsrtest.AdaDomain: "12.1",
}

func suite(t *testing.T) connectortest.Suite {
	t.Helper()
	descriptor, err := s3.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	return connectortest.Suite{
		Descriptor: descriptor,
		Transport:  connectortest.Direct,
		New: func(t testing.TB, env connectortest.Env) connector.Connector {
			d, err := s3.Bind(env.Config, env.Store.(*store).twin)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Keeps: []connector.Keep{{ID: "object_lock", Category: category, Reason: "locked by the company"}},
		Lacks: map[connectortest.Trait]string{
			connectortest.Annotate: "whose an object is stands in its key or tag alone; its content is the person's own",
			connectortest.Content:  "files are handed on as they are",
		},
	}
}

func TestConformanceByPrefix(t *testing.T) {
	s := suite(t)
	s.Descriptor.Accepts = []dsr.Kind{"account_id"} // this mapping's
	s.Settings = map[string]string{"bucket": bucket, "category": category, "prefix": "learners/{account_id}/"}
	s.Store = func(testing.TB) connectortest.Store { return &store{twin: newTwin()} }
	s.Identities = func(p dsrtest.Person) []dsr.Identity {
		return []dsr.Identity{p.Proved(), {Kind: "account_id", Value: accounts[p], Origin: dsr.SystemOfRecord}}
	}
	connectortest.Run(t, s)
}

func TestConformanceByTag(t *testing.T) {
	s := suite(t)
	s.Settings = map[string]string{"bucket": bucket, "category": category, "prefix": "uploads/", "tag": "owner={email}"}
	s.Store = func(testing.TB) connectortest.Store { return &store{twin: newTwin(), byTag: true} }
	connectortest.Run(t, s)
}

// store is the twin as the conformance kit drives it.
type store struct {
	*twin
	byTag  bool
	people []dsrtest.Person
}

// Seed adds a file with three versions, five more files, one that is under a
// delete marker, one that is locked, and by prefix an upload in progress.
func (s *store) Seed(p dsrtest.Person) error {
	s.people = append(s.people, p)
	s.locking = true
	folder, tags := "learners/"+accounts[p]+"/", map[string]string{"course": "go"}
	if s.byTag {
		folder, tags["owner"] = fmt.Sprintf("uploads/%d/", len(s.people)), p.Email
	}
	for n := range 3 {
		s.put(folder+"essay.txt", fmt.Sprintf("draft %d by %s", n, p.Name), tags)
	}
	for n := range 5 {
		s.put(fmt.Sprintf("%swork %d+%d.txt", folder, n, n), fmt.Sprintf("work %d by %s of %s", n, p.Name, p.City), tags)
	}
	s.put(folder+"thrown-away.txt", "thrown away by "+p.Name, tags)
	s.remove(folder + "thrown-away.txt")
	s.put(folder+"certificate.txt", "certificate of "+p.Name, tags).hold = true
	if !s.byTag {
		s.uploads = append(s.uploads, upload{folder + "film.mp4", s.id()})
	}
	return nil
}

func (s *store) Annotate(dsrtest.Person, string, string) error { return connectortest.ErrCannot }

func (s *store) Inject(f connectortest.Fault) error {
	s.fault = f
	return nil
}

// owner of a key: by prefix the key says it, by tag the folder's number.
func (s *store) owner(key string) string {
	for n, p := range s.people {
		if strings.HasPrefix(key, "learners/"+accounts[p]+"/") || strings.HasPrefix(key, fmt.Sprintf("uploads/%d/", n+1)) {
			return p.Email
		}
	}
	return ""
}

// Records lists versions, and markers and uploads as what no call shows the
// content of.
func (s *store) Records() ([]connectortest.Record, error) {
	var all []connectortest.Record
	for _, v := range s.versions {
		all = append(all, connectortest.Record{
			Owner: s.owner(v.key), Category: category, ID: v.key + "@" + v.id, Hidden: v.marker,
			Fields: map[string]string{"body": string(v.body), "hold": fmt.Sprint(v.hold), "tags": fmt.Sprint(v.tags)},
		})
	}
	for _, u := range s.uploads {
		all = append(all, connectortest.Record{Owner: s.owner(u.key), Category: category, ID: u.key + "#" + u.id, Hidden: true})
	}
	return all, nil
}
