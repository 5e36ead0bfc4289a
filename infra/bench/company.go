package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The companies that the bench deploys. Both are the demo's company without the
// systems that people answer for, whose time is not ours to measure.
const (
	apisOnly = "apis"   // its systems with an API, as they are
	twenty   = "twenty" // twenty systems with an API: the same ones several times over
)

// seedCompany is the company the bench's are made from.
const seedCompany = "pythonmaster"

// copyCheckout makes a copy of the checkout in dir with the bench's companies
// in it, so that the product's own binaries never hold them. What a copy has
// already is left alone: its next build is short.
func copyCheckout(root, dir string) error {
	listed := exec.Command("git", "ls-files", "-co", "--exclude-standard", "-z")
	listed.Dir = root
	out, err := listed.Output()
	if err != nil {
		return fmt.Errorf("listing the checkout's files: %w", err)
	}
	known := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		about, err := os.Lstat(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) || (err == nil && !about.Mode().IsRegular()) {
			continue // removed and not committed yet, or a link to tools
		}
		var body []byte
		if err == nil {
			body, err = os.ReadFile(filepath.Join(root, name))
		}
		if err != nil {
			return fmt.Errorf("copying the checkout: %w", err)
		}
		known[name] = true
		if err := keep(filepath.Join(dir, name), body); err != nil {
			return fmt.Errorf("copying the checkout: %w", err)
		}
	}
	for _, id := range []string{apisOnly, twenty} {
		files, err := companyFiles(filepath.Join(root, "shared", "policy", "companies", seedCompany), id)
		if err != nil {
			return err
		}
		for name, body := range files {
			path := filepath.Join("shared", "policy", "companies", id, name)
			known[path] = true
			if err := keep(filepath.Join(dir, path), body); err != nil {
				return fmt.Errorf("writing the company %s: %w", id, err)
			}
		}
	}
	if err := prune(dir, known); err != nil {
		return fmt.Errorf("copying the checkout: %w", err)
	}
	for _, name := range []string{"node_modules", ".tools"} {
		err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("copying the checkout: %w", err)
		}
	}
	return nil
}

// keep writes a file unless it is there already: its time tells make what changed.
func keep(path string, body []byte) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, body) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

// prune removes the copy's sources that the checkout has no more.
func prune(dir string, known map[string]bool) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir() && (name == "bin" || strings.HasPrefix(name, ".") && name != "."):
			return filepath.SkipDir
		case e.Type().IsRegular() && !known[name]:
			return os.Remove(path)
		}
		return nil
	})
}

// companyFiles makes the files of one of the bench's companies.
func companyFiles(seed, id string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range []string{"policy.toml", "systems.toml"} {
		body, err := os.ReadFile(filepath.Join(seed, name))
		if err != nil {
			return nil, fmt.Errorf("reading the company %s: %w", seedCompany, err)
		}
		files[name] = body
	}
	named := bytes.Replace(files["policy.toml"], []byte(`id = "`+seedCompany+`"`), []byte(`id = "`+id+`"`), 1)
	if bytes.Equal(named, files["policy.toml"]) {
		return nil, fmt.Errorf("making the company %s: the policy of %s does not name itself", id, seedCompany)
	}
	systems, err := systemsOf(id, string(files["systems.toml"]))
	if err != nil {
		return nil, err
	}
	files["systems.toml"] = []byte(systems)
	files["policy.toml"] = []byte(heldOnly(string(named), systems))
	files["recipients.toml"] = nil // they name systems that are not there
	files["customers.toml"] = nil
	return files, nil
}

// systemsOf keeps the systems that have an API; for the company of twenty, it
// repeats those that depend on the system of record under further names.
func systemsOf(id, all string) (string, error) {
	blocks := strings.Split(all, "\n[[system]]\n")
	kept := []string{blocks[0]}
	for _, b := range blocks[1:] {
		if !strings.Contains(b, "\nconnector = \"manual\"\n") {
			kept = append(kept, b)
		}
	}
	if len(kept) < 3 || !strings.HasPrefix(kept[1], `id = "`) {
		return "", errors.New("making the bench's companies: the company's systems are not where they were")
	}
	if id == twenty {
		for from := 2; len(kept) <= 20; from++ { // not the first: the others depend on it
			kept = append(kept, again(kept[from], len(kept)))
		}
	}
	return strings.Join(kept, "\n[[system]]\n"), nil
}

// again is a system's block for a further system: it cites nothing, because a
// phrase carries one row only.
func again(block string, number int) string {
	lines := strings.Split(block, "\n")
	lines[0] = fmt.Sprintf("id = %q", fmt.Sprintf("s%02d", number))
	for i, line := range lines {
		if strings.HasPrefix(line, "cites = ") {
			lines[i] = `decision = "zone"`
		}
	}
	return strings.Join(lines, "\n")
}

// heldOnly drops the categories that no system holds any more.
func heldOnly(policy, systems string) string {
	var out strings.Builder
	for section := range strings.SplitSeq(policy, "\n[[") {
		if name, isCategory := strings.CutPrefix(section, "category]]\nid = "); isCategory {
			name, _, _ = strings.Cut(name, "\n")
			if !strings.Contains(systems, name) {
				continue
			}
		}
		if out.Len() > 0 {
			out.WriteString("\n[[")
		}
		out.WriteString(section)
	}
	return out.String()
}
