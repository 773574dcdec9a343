package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// imageUser is the user and group of the image, by custom the one of images without root.
	imageUser = 65532
	// healthEvery is how often a container engine asks for the health.
	healthEvery = 10 * time.Second
	// healthTimeout is how long it waits for the answer.
	healthTimeout = 5 * time.Second
	// startPeriod is how long failures do not count after the start.
	startPeriod = 30 * time.Second
)

// writeImage writes an image for each Linux target as one archive in the OCI image layout, an index over all of them. Tools
// such as crane, skopeo and podman push or load it.
func (r *release) writeImage(targets []target) error {
	index := v1.ImageIndex(mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	found := false
	for _, t := range targets {
		if t.os != "linux" {
			continue
		}
		image, err := r.image(t)
		if err != nil {
			return fmt.Errorf("image of %s: %w", t, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: t.os, Architecture: t.arch}, Annotations: map[string]string{"org.opencontainers.image.ref.name": r.version},
		}})
		found = true
	}
	if !found {
		return nil
	}
	dir := filepath.Join(r.build, "image")
	if _, err := layout.Write(dir, index); err != nil {
		return err
	}
	files, err := treeOf(dir)
	if err != nil {
		return err
	}
	archive, err := tarOf(files, r.time)
	if err != nil {
		return err
	}
	return r.write(r.name("image.oci.tar"), archive)
}

// image returns the image of a target: one layer with the program, a user without rights, and the directory of the state.
// There is no shell and no libc. Certificates of authorities and time zones are in the program.
func (r *release) image(t target) (v1.Image, error) {
	program, err := os.ReadFile(r.path(t, "aidr"))
	if err != nil {
		return nil, err
	}
	notices, err := os.ReadFile(filepath.Join(r.out, noticesName))
	if err != nil {
		return nil, err
	}
	users := fmt.Appendf(nil, "root:x:0:0:root:/:/nonexistent\naidr:x:%d:%d:aidr:/var/lib/aidr:/nonexistent\n", imageUser, imageUser)
	groups := fmt.Appendf(nil, "root:x:0:\naidr:x:%d:\n", imageUser)
	content, err := tarOf([]file{
		{name: "etc", mode: modeProgram, dir: true},
		{name: "etc/aidr", mode: modeProgram, dir: true},
		{name: "etc/group", content: groups, mode: modeText},
		{name: "etc/passwd", content: users, mode: modeText},
		{name: "tmp", mode: 0o1777, dir: true},
		{name: "usr", mode: modeProgram, dir: true},
		{name: "usr/bin", mode: modeProgram, dir: true},
		{name: "usr/bin/aidr", content: program, mode: modeProgram},
		{name: "usr/share", mode: modeProgram, dir: true},
		{name: "usr/share/doc", mode: modeProgram, dir: true},
		{name: "usr/share/doc/aidr", mode: modeProgram, dir: true},
		{name: "usr/share/doc/aidr/" + noticesName, content: notices, mode: modeText},
		{name: "var", mode: modeProgram, dir: true},
		{name: "var/lib", mode: modeProgram, dir: true},
		{name: "var/lib/aidr", mode: modePrivate, owner: imageUser, dir: true},
	}, r.time)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.Append(image, mutate.Addendum{
		Layer: layer, History: v1.History{Created: v1.Time{Time: r.time}, CreatedBy: source}, MediaType: types.OCILayer,
	}); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = t.os, t.arch, v1.Time{Time: r.time}
	config.Config = r.imageConfig()
	return mutate.ConfigFile(image, config)
}

// imageConfig returns the settings with which a container runs: the configuration is mounted at /etc/aidr, the state is a
// volume, everything else may be read-only.
func (r *release) imageConfig() v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", imageUser, imageUser),
		Env:          []string{"PATH=/usr/bin", "HOME=/var/lib/aidr"},
		Entrypoint:   []string{"/usr/bin/aidr"},
		Cmd:          []string{"run", "--config", "/etc/aidr/aidr.yaml"},
		WorkingDir:   "/var/lib/aidr",
		Volumes:      map[string]struct{}{"/var/lib/aidr": {}},
		ExposedPorts: map[string]struct{}{"8471/tcp": {}},
		StopSignal:   "SIGTERM",
		Healthcheck: &v1.HealthConfig{
			Test:     []string{"CMD", "/usr/bin/aidr", "status", "--check", "--config", "/etc/aidr/aidr.yaml"},
			Interval: healthEvery, Timeout: healthTimeout, StartPeriod: startPeriod, Retries: 3,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title": "aidr", "org.opencontainers.image.source": source, "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.version": r.version, "org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.description": "AI Detection and Response over logs",
		},
	}
}

// treeOf returns the files below a directory, sorted by name.
func treeOf(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f := file{name: filepath.ToSlash(rel), mode: modeProgram, dir: d.IsDir()}
		if !f.dir {
			f.mode = modeText
			if f.content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		files = append(files, f)
		return nil
	})
	return files, err
}
