package s3

import "github.com/writ-dsr/writ/shared/connector"

// Bind builds a driver on a twin of S3. Deletions go in small batches, so that
// few objects need several.
func Bind(cfg connector.Config, twin api) (*Driver, error) {
	d, err := bind(cfg, twin)
	if err == nil {
		d.batch = 3
	}
	return d, err
}

// Batch sets how many keys one deletion names.
func Batch(d *Driver, n int) { d.batch = n }
