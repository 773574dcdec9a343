package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// noticesName is the name of the file with the licences of all modules in the programs.
const noticesName = "THIRD_PARTY_NOTICES.txt"

// licence matches the names of the files that a module's terms require to be passed on.
var licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright|patents)([.-].*)?$`)

// writeNotices writes the licences of the modules that are in the program. A module without one is an error, because it must
// not be distributed.
func (r *release) writeNotices(ctx context.Context, info *debug.BuildInfo) error {
	dirs, err := r.moduleDirs(ctx, info)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("aidr contains the following modules, each under its own licence.\n")
	for _, m := range info.Deps {
		texts, err := licencesIn(dirs[m.Path+"@"+m.Version])
		if err != nil {
			return fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
		}
		fmt.Fprintf(&b, "\n%s\n%s %s\n", strings.Repeat("=", 100), m.Path, m.Version)
		for _, text := range texts {
			fmt.Fprintf(&b, "%s\n\n%s\n", strings.Repeat("-", 100), bytes.TrimSpace(text))
		}
	}
	return r.write(noticesName, b.Bytes())
}

// moduleDirs returns the directories of the modules in the module cache, by path@version.
func (r *release) moduleDirs(ctx context.Context, info *debug.BuildInfo) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: a release uses published modules only", m.Path)
		}
		args = append(args, m.Path+"@"+m.Version)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = r.repo, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		if err := d.Decode(&m); err == io.EOF {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
}

// licencesIn returns the texts of the licences of a module: those in its root, else the only one below.
func licencesIn(dir string) ([][]byte, error) {
	if dir == "" {
		return nil, errors.New("the module is not in the cache")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, name := range slices.Sorted(namesOf(entries)) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	if texts == nil {
		return nil, errors.New("the module has no file with a licence")
	}
	return texts, nil
}

// namesOf yields the names of the files that hold licences.
func namesOf(entries []os.DirEntry) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, e := range entries {
			if e.Type().IsRegular() && licence.MatchString(e.Name()) && !yield(e.Name()) {
				return
			}
		}
	}
}
