package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/platform/secrets"
	"github.com/writ-dsr/writ/shared/policy"
)

// Bound is the one system that a deployment of fanout-task serves.
type Bound struct {
	System     policy.System
	Descriptor connector.Descriptor
}

// Bind finds the system that WRIT_SYSTEM names.
func (d *Deployment) Bind() (Bound, error) {
	system, ok := d.Pack.System(d.System)
	if !ok {
		return Bound{}, fmt.Errorf("binding fanout-task: company %s has no system %q", d.Company, d.System)
	}
	all, err := connectors.Descriptors()
	if err != nil {
		return Bound{}, err
	}
	descriptor, ok := all[system.Connector]
	if !ok {
		return Bound{}, fmt.Errorf("binding fanout-task: system %s names the connector %q, which is not on the shelf", system.ID, system.Connector)
	}
	return Bound{System: system, Descriptor: descriptor}, nil
}

// Secrets are the deployment's secret parameters.
func (d *Deployment) Secrets() *secrets.Store {
	return secrets.New(ssm.NewFromConfig(d.AWS), Now)
}

// Config reads the system's secrets and makes the driver's configuration. It is
// made anew for each visit, so that a changed secret is seen within the cache's
// five minutes. A secret that is missing is Unauthorized: a person must store
// it; a parameter store that does not answer is Unavailable.
func (d *Deployment) Config(ctx context.Context, b Bound, store *secrets.Store) (connector.Config, error) {
	values := map[string]string{}
	for name := range b.Descriptor.Secrets {
		value, err := store.Get(ctx, "/writ/"+d.Company+"/"+b.System.ID+"/"+name)
		if errors.Is(err, secrets.ErrMissing) {
			return connector.Config{}, &connector.Error{Kind: connector.Unauthorized, Err: err}
		}
		if err != nil {
			return connector.Config{}, &connector.Error{Kind: connector.Unavailable, Err: err}
		}
		values[name] = value
	}
	return connector.Config{
		System: b.System.ID, BaseURL: d.BaseURL(b.System.ID), Secrets: values, Settings: b.System.Settings, Mapping: b.System.Raw, Emulator: d.Emulator, Now: Now,
	}, nil
}
