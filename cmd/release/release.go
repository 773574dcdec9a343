package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// target is a platform that programs are built for.
type target struct{ os, arch string }

// allTargets are the platforms of a release.
var allTargets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// String returns the platform as Go names it, such as "linux/amd64".
func (t target) String() string { return t.os + "/" + t.arch }

// program returns the file name of a program on the platform.
func (t target) program(name string) string {
	if t.os == "windows" {
		return name + ".exe"
	}
	return name
}

// hasEngine reports whether the local ClickHouse engine exists for the platform.
func (t target) hasEngine() bool { return t == target{"linux", "amd64"} }

// release is one release while it is made.
type release struct {
	repo, out string    // absolute
	commit    string    // hash of the commit
	time      time.Time // of the commit; the modification time of all files
	version   string    // of the module, as Go derives it from tags, such as "v0.5.0"
	build     string    // temporary directory of the programs
	log       io.Writer
	files     []string // names of the files in out
}

// newRelease prepares the directory of a release. The work tree must have no changes, because the version names the commit.
func newRelease(ctx context.Context, repo, out string) (*release, error) {
	r := &release{log: io.Discard}
	var err error
	if r.repo, err = filepath.Abs(repo); err != nil {
		return nil, err
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	changes, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	if changes != "" {
		return nil, fmt.Errorf("%s has changes that are not committed: a release is built from a commit:\n%s", r.repo, changes)
	}
	if r.commit, err = r.git(ctx, "rev-parse", "HEAD"); err != nil {
		return nil, err
	}
	seconds, err := r.git(ctx, "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("time of the commit: %w", err)
	}
	r.time = time.Unix(n, 0).UTC()
	switch entries, err := os.ReadDir(r.out); {
	case errors.Is(err, fs.ErrNotExist):
		return r, os.MkdirAll(r.out, 0o755)
	case err != nil:
		return nil, err
	case len(entries) > 0:
		return nil, fmt.Errorf("%s is not empty: files of another release must not get into this one", r.out)
	}
	return r, nil
}

// git runs a command of git in the repository and returns its output.
func (r *release) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.repo}, args...)...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(text)), nil
}

// make builds the programs for the targets and everything made of them.
func (r *release) make(ctx context.Context, targets []target) (err error) {
	if r.build, err = os.MkdirTemp("", "aidr-release-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.build)) }()
	for _, t := range targets {
		if err := r.compile(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	info, err := r.buildInfo(targets)
	if err != nil {
		return err
	}
	if r.version = info.Main.Version; !strings.HasPrefix(r.version, "v") {
		return fmt.Errorf("Go recorded version %q: build from a clone of the repository, not from a linked work tree or a copy of files", r.version)
	}
	steps := []func() error{
		func() error { return r.writeNotices(ctx, info) },
		func() error { return r.writeBill(info) },
		func() error { return r.writeArchives(targets) },
		func() error { return r.writePackages(targets) },
		func() error { return r.writeImage(targets) },
		r.writeChecksums,
		func() error { return r.writeProvenance(info) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// buildInfo returns what Go recorded in the first program, with the modules of all programs, sorted by path.
func (r *release) buildInfo(targets []target) (*debug.BuildInfo, error) {
	var first *debug.BuildInfo
	modules := map[string]*debug.Module{}
	for _, t := range targets {
		info, err := buildinfo.ReadFile(r.path(t, "aidr"))
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = info
		}
		for _, m := range info.Deps {
			modules[m.Path] = m
		}
	}
	first.Deps = slices.SortedFunc(maps.Values(modules), func(a, b *debug.Module) int { return strings.Compare(a.Path, b.Path) })
	return first, nil
}

// path returns the path of a program that was built for a target.
func (r *release) path(t target, name string) string {
	return filepath.Join(r.build, t.os+"-"+t.arch, t.program(name))
}

// compile builds the programs for a target. aidr is static; the engine's program, which loads libc, is not.
func (r *release) compile(ctx context.Context, t target) error {
	if err := r.goBuild(ctx, t, "aidr", "-tags=noengine"); err != nil {
		return err
	}
	if !t.hasEngine() {
		return nil
	}
	return r.goBuild(ctx, t, "aidr-clickhouse")
}

// goBuild builds cmd/NAME. What Go would take from the environment is fixed, because the bytes depend on it.
func (r *release) goBuild(ctx context.Context, t target, name string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", r.path(t, name)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/"+name)...)
	cmd.Dir, cmd.Stderr = r.repo, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	return nil
}

// write creates a file of the release with its content.
func (r *release) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(r.out, name), content, 0o644); err != nil {
		return err
	}
	r.added(name)
	return nil
}

// added records a file of the release.
func (r *release) added(name string) {
	r.files = append(r.files, name)
	fmt.Fprintln(r.log, name)
}

// name returns the name of a file of the release: aidr, the version without its v, and the parts.
func (r *release) name(parts ...string) string {
	return strings.Join(append([]string{"aidr", strings.TrimPrefix(r.version, "v")}, parts...), "_")
}
