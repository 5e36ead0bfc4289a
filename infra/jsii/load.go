package jsii

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Load makes an installed package's classes available. Packages load in the
// order of their dependencies. The kernel wants an archive and unpacks it; it
// gets one of three small files that point into node_modules, so nothing is copied and
// the packages share one another as Node found them. Archives stay in cache
// because their bytes are the key of the kernel's own cache.
func (k *Kernel) Load(name string) {
	if k.err != nil {
		return
	}
	archive, version, err := pointer(k.modules, k.cache, name)
	if err != nil {
		k.err = fmt.Errorf("loading %s: %w", name, err)
		return
	}
	k.call("loading "+name, request{API: "load", Name: name, Version: version, Tarball: archive})
}

// pointer writes the archive that stands for an installed package and returns
// its path and the package's version.
func pointer(modules, cache, name string) (path, version string, err error) {
	home, err := filepath.Abs(filepath.Join(modules, filepath.FromSlash(name)))
	if err != nil {
		return "", "", err
	}
	manifest, err := os.ReadFile(filepath.Join(home, "package.json"))
	if err != nil {
		return "", "", errors.New("it is not installed: run npm ci in the project's root")
	}
	var pkg struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(manifest, &pkg); err != nil {
		return "", "", fmt.Errorf("reading its package.json: %w", err)
	}
	description := map[string]string{"schema": "jsii/file-redirect", "filename": filepath.Join(home, ".jsii")}
	if packed := filepath.Join(home, ".jsii.gz"); exists(packed) {
		description["filename"], description["compression"] = packed, "gzip"
	}
	body, err := archive(map[string]any{"name": name, "version": pkg.Version, "main": "index.js"}, description, home)
	if err != nil {
		return "", "", fmt.Errorf("writing its archive: %w", err)
	}
	path = filepath.Join(cache, "archives", filepath.FromSlash(name)+"-"+pkg.Version+".tar")
	if err := store(path, body); err != nil {
		return "", "", fmt.Errorf("writing its archive: %w", err)
	}
	return path, pkg.Version, nil
}

// archive holds a manifest, a pointer to the package's description and one to
// its code.
func archive(manifest, description any, home string) ([]byte, error) {
	var files [3][]byte
	var err error
	for i, v := range []any{manifest, description, home} {
		if files[i], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	files[2] = fmt.Appendf(nil, "module.exports = require(%s);\n", files[2])
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i, name := range []string{"package.json", ".jsii", "index.js"} {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(files[i]))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[i]); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return buf.Bytes(), err
}

// store puts a file in its place at once, for several builds may run.
func store(path string, body []byte) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, body) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(path), "part-*")
	if err != nil {
		return err
	}
	_, err = part.Write(body)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
