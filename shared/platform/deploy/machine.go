package deploy

import (
	"github.com/writ-dsr/writ/shared/platform/machine"
)

// Retention is the deployment's machine that lists what has expired.
func (d *Deployment) Retention() *machine.Machine {
	return machine.New(d.AWS, d.RetentionARN, Now)
}

// Machine is the deployment's state machine.
func (d *Deployment) Machine() *machine.Machine { return machine.New(d.AWS, d.MachineARN, Now) }
