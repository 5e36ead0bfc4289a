package jsii

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Load makes an installed package's classes available. Packages load in the
// order of their dependencies. The kernel wants an archive and unpacks it; it
// gets one of two small files that point into modules, so nothing is copied and
// the packages share one another as Node found them. Archives stay in cache
// because their bytes are the key of the kernel's own cache.
func (k *Kernel) Load(modules, cache, name string) {
	if k.err != nil {
		return
	}
	archive, version, err := pointer(modules, cache, name)
	if err != nil {
		k.err = err
		return
	}
	k.call("loading "+name, request{API: "load", Name: name, Version: version, Tarball: archive})
}

// pointer writes the archive that stands for an installed package.
func pointer(modules, cache, name string) (archive, version string, err error) {
	home, err := filepath.Abs(filepath.Join(modules, filepath.FromSlash(name)))
	if err != nil {
		return "", "", fmt.Errorf("loading %s: %w", name, err)
	}
	manifest, err := os.ReadFile(filepath.Join(home, "package.json"))
	if err != nil {
		return "", "", fmt.Errorf("loading %s: it is not installed: run npm ci in the project's root", name)
	}
	var pkg struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(manifest, &pkg); err != nil {
		return "", "", fmt.Errorf("loading %s: reading its package.json: %w", name, err)
	}
	assembly := map[string]string{"schema": "jsii/file-redirect", "filename": filepath.Join(home, ".jsii")}
	if packed := filepath.Join(home, ".jsii.gz"); exists(packed) {
		assembly = map[string]string{"schema": "jsii/file-redirect", "filename": packed, "compression": "gzip"}
	}
	files := []struct {
		name string
		body any
	}{
		{"package/package.json", map[string]string{"name": name, "version": pkg.Version, "main": "index.js"}},
		{"package/.jsii", assembly},
		{"package/index.js", nil},
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		body, err := json.Marshal(f.body)
		if f.body == nil {
			body, err = json.Marshal(home)
			body = fmt.Appendf(nil, "module.exports = require(%s);\n", body)
		}
		if err != nil {
			return "", "", fmt.Errorf("loading %s: %w", name, err)
		}
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(body))}); err != nil {
			return "", "", fmt.Errorf("loading %s: %w", name, err)
		}
		if _, err := w.Write(body); err != nil {
			return "", "", fmt.Errorf("loading %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return "", "", fmt.Errorf("loading %s: %w", name, err)
	}
	return store(cache, name, pkg.Version, buf.Bytes())
}

// store puts an archive in its place at once, for several builds may run.
func store(cache, name, version string, body []byte) (string, string, error) {
	path := filepath.Join(cache, "archives", filepath.FromSlash(name)+"-"+version+".tar")
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, body) {
		return path, version, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", "", fmt.Errorf("loading %s: %w", name, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "part-*")
	if err != nil {
		return "", "", fmt.Errorf("loading %s: %w", name, err)
	}
	_, err = tmp.Write(body)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return "", "", fmt.Errorf("loading %s: %w", name, err)
	}
	return path, version, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
