// Command release builds everything that a release of aidr consists of: programs for each platform with their archives, a
// Debian package, a container image for two architectures, checksums, a bill of materials, provenance and the licences of the
// modules. It is a module of its own, so that aidr does not depend on its libraries.
//
//	.ci/release -out DIR [-targets linux/amd64,...]
//
// The result depends on the commit alone: two builds of one commit by one version of Go have the same bytes, wherever and
// whenever they run. Times inside archives are the time of the commit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run builds a release as the arguments ask for, and prints the name of each file that it writes.
func run(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	repo := flags.String("repo", filepath.Join("..", ".."), "root of the repository")
	out := flags.String("out", "", "directory for the files, which must be empty or missing")
	names := flags.String("targets", "", "platforms, with commas between them (default: all)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() > 0 {
		return errors.New("want -out DIR and no other arguments")
	}
	targets, err := parseTargets(*names)
	if err != nil {
		return err
	}
	r, err := newRelease(ctx, *repo, *out)
	if err != nil {
		return err
	}
	r.log = w
	return r.make(ctx, targets)
}

// parseTargets returns the platforms of a list such as "linux/amd64,darwin/arm64", or all if the list is empty.
func parseTargets(list string) ([]target, error) {
	if list == "" {
		return allTargets, nil
	}
	var targets []target
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, t := range allTargets {
			if t.String() == name {
				targets, found = append(targets, t), true
			}
		}
		if !found {
			return nil, fmt.Errorf("target %q: want one of %v", name, allTargets)
		}
	}
	return targets, nil
}
