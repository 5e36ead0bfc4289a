package stand

import (
	"context"
	"os"
	"path/filepath"

	"github.com/writ-dsr/writ/shared/platform/checkout"
)

// Further deploys the stack of one more company beside the first, on the same
// emulator, database and mails, with its own pages, tables and machine. Its
// secrets are named <system>/<name>. What it opens ends with the first stand.
func (s *Stand) Further(ctx context.Context, company string, secrets map[string]string) (*Stand, error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	o := withDefaults(Options{Company: company, Sender: "privacy@" + company + ".example"})
	f := &Stand{Dir: filepath.Join(s.Dir, company), Vendors: map[string]string{}, AWS: s.AWS, Postgres: s.Postgres, Inbox: s.Inbox, Config: s.Config}
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return nil, err
	}
	pages := newFront(s.Inbox)
	if f.Front, err = s.serve(0, "the pages of "+company, pages); err != nil {
		return nil, err
	}
	if err := f.entrust(ctx, company, o.Sender, secrets); err != nil {
		return nil, err
	}
	if f.Outputs, err = deploy(ctx, root, f.Dir, f.AWS, "Writ-"+company, f.inputs(o)); err != nil {
		return nil, err
	}
	return f, f.open(pages)
}
