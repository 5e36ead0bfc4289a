package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
)

// readStrict decodes a JSON file of the caller, or standard input where its
// name is -. A key that is not known would be a fact ignored, so it is refused.
func readStrict(name string, into any) error {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	decoder := json.NewDecoder(io.LimitReader(in, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}
