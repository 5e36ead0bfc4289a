package deploy

import (
	"github.com/writ-dsr/writ/shared/platform/machine"
)

// Machine is the deployment's state machine.
func (d *Deployment) Machine() *machine.Machine { return machine.New(d.AWS, d.MachineARN, Now) }
