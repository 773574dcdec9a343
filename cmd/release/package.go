package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

// writePackages writes a Debian package for each Linux target: the programs, the unit of systemd, and a configuration that an
// upgrade keeps.
func (r *release) writePackages(targets []target) error {
	for _, t := range targets {
		if t.os != "linux" {
			continue
		}
		var b bytes.Buffer
		info, err := r.debian(t)
		if err != nil {
			return err
		}
		if err := deb.Default.Package(info, &b); err != nil {
			return fmt.Errorf("debian package of %s: %w", t, err)
		}
		if err := r.write(r.name(t.arch+".deb"), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// debian describes the package of a target. The service does not start by itself, because the configuration must name a
// source first.
func (r *release) debian(t target) (*nfpm.Info, error) {
	configuration, err := r.packagedConfiguration()
	if err != nil {
		return nil, err
	}
	at := func(path string) string { return filepath.Join(r.repo, path) }
	installed := func(source, path, kind string, mode os.FileMode) *files.Content {
		return &files.Content{Source: source, Destination: path, Type: kind, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: r.time}}
	}
	contents := files.Contents{
		installed(r.path(t, "aidr"), "/usr/bin/aidr", "", modeProgram),
		installed(configuration, "/etc/aidr/aidr.yaml", files.TypeConfigNoReplace, modeText),
		installed(at("cmd/aidr/deploy/systemd/aidr.service"), "/usr/lib/systemd/system/aidr.service", "", modeText),
		installed(at("README.md"), "/usr/share/doc/aidr/README.md", "", modeText),
		installed(at("CHANGELOG.md"), "/usr/share/doc/aidr/CHANGELOG.md", "", modeText),
		installed(at("LICENSE"), "/usr/share/doc/aidr/copyright", "", modeText),
		installed(filepath.Join(r.out, noticesName), "/usr/share/doc/aidr/"+noticesName, "", modeText),
	}
	if t.hasEngine() {
		contents = append(contents, installed(r.path(t, "aidr-clickhouse"), "/usr/bin/aidr-clickhouse", "", modeProgram))
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "aidr", Arch: t.arch, Platform: t.os, Version: strings.TrimPrefix(r.version, "v"), Section: "admin", Priority: "optional",
		Maintainer: "AIDR <aidr-engine@users.noreply.github.com>", Homepage: source, License: "Apache-2.0", MTime: r.time,
		Description: "AI Detection and Response over logs\n Reads the logs of AI agents from Kafka, evaluates detection rules, and writes findings to\n ClickHouse and webhooks.",
		Overridables: nfpm.Overridables{
			Contents:   contents,
			Recommends: []string{"ca-certificates"},
			Scripts: nfpm.Scripts{
				PostInstall: at("cmd/aidr/deploy/systemd/postinst"), PreRemove: at("cmd/aidr/deploy/systemd/prerm"),
			},
		},
	})
	return info, nfpm.PrepareForPackager(info, "deb")
}

// packagedConfiguration writes the commented configuration with the state directory of the service, and returns its path.
func (r *release) packagedConfiguration() (string, error) {
	text, err := os.ReadFile(filepath.Join(r.repo, "cmd", "aidr", "config", "example.yaml"))
	if err != nil {
		return "", err
	}
	const state, packaged = "  dir: ./state\n", "  dir: /var/lib/aidr\n"
	if !bytes.Contains(text, []byte(state)) {
		return "", fmt.Errorf("the example configuration lacks the line %q", state)
	}
	path := filepath.Join(r.build, "aidr.yaml")
	return path, os.WriteFile(path, bytes.Replace(text, []byte(state), []byte(packaged), 1), 0o644)
}
