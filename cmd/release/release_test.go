package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// exitWarnings is the exit code of `aidr config check` if it has only warnings, such as that there is no sink yet.
const exitWarnings = 3

// required skips a test that takes minutes, unless AIDR_TEST_REQUIRE names deploy.
func required(t *testing.T) {
	t.Helper()
	if !slices.Contains(strings.Split(os.Getenv("AIDR_TEST_REQUIRE"), ","), "deploy") {
		t.Skip("builds releases for minutes: set AIDR_TEST_REQUIRE=deploy")
	}
}

// command runs a program and returns what it prints.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return string(text)
}

// clone makes a clone of the repository with a tag, and returns its folder.
func clone(t *testing.T, tag string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	command(t, ".", "git", "clone", "--quiet", filepath.Join("..", ".."), dir)
	command(t, dir, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "tag", tag)
	return dir
}

// TestRelease builds a release for one platform twice, in different folders, and looks at what it holds.
func TestRelease(t *testing.T) {
	required(t)
	var builds [2]string
	for i := range builds {
		builds[i] = filepath.Join(t.TempDir(), "dist")
		if err := run(context.Background(), []string{"-repo", clone(t, "v0.9.8"), "-out", builds[i], "-targets", "linux/amd64"}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	dist := builds[0]
	t.Run("same bytes", func(t *testing.T) { command(t, ".", "diff", "-r", builds[0], builds[1]) })
	t.Run("checksums", func(t *testing.T) { command(t, dist, "sha256sum", "--check", "--strict", checksumsName) })
	t.Run("bill of materials", func(t *testing.T) { checkBill(t, filepath.Join(dist, "aidr_0.9.8_sbom.cdx.json")) })
	t.Run("archive", func(t *testing.T) {
		command(t, dist, "tar", "-xzf", "aidr_0.9.8_linux_amd64.tar.gz")
		root := filepath.Join(dist, "aidr_0.9.8_linux_amd64")
		checkStatic(t, filepath.Join(root, "aidr"))
		if text := command(t, root, "./aidr", "version"); !strings.HasPrefix(text, "aidr v0.9.8 (commit ") {
			t.Errorf("version: %q", text)
		}
	})
	t.Run("package", func(t *testing.T) { checkPackage(t, filepath.Join(dist, "aidr_0.9.8_amd64.deb")) })
	t.Run("image", func(t *testing.T) { checkImage(t, filepath.Join(dist, "aidr_0.9.8_image.oci.tar")) })
}

// checkStatic fails if a program needs a dynamic linker.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has %v", path, p.Type)
		}
	}
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("%s needs %v", path, libraries)
	}
}

// checkBill fails if the bill of materials lacks a module of the program.
func checkBill(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat  string
		Metadata   struct{ Component struct{ Version string } }
		Components []struct{ Name, Purl string }
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"github.com/segmentio/kafka-go", "github.com/google/cel-go", "github.com/ClickHouse/clickhouse-go/v2", "std"} {
		found := false
		for _, c := range bom.Components {
			found = found || c.Name == module && strings.HasPrefix(c.Purl, "pkg:golang/"+module+"@")
		}
		if !found {
			t.Errorf("no component %s", module)
		}
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Version != "0.9.8" {
		t.Errorf("format %q, version %q", bom.BOMFormat, bom.Metadata.Component.Version)
	}
}

// checkPackage fails if the package lacks a file that the service needs, or replaces the configuration.
func checkPackage(t *testing.T, path string) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip(err)
	}
	list := command(t, ".", "dpkg-deb", "--contents", path)
	for _, name := range []string{"./usr/bin/aidr\n", "./usr/bin/aidr-clickhouse\n", "./usr/lib/systemd/system/aidr.service\n", "./etc/aidr/aidr.yaml\n"} {
		if !strings.Contains(list, name) {
			t.Errorf("no %s in\n%s", name, list)
		}
	}
	if text := command(t, ".", "dpkg-deb", "--info", path, "conffiles"); strings.TrimSpace(text) != "/etc/aidr/aidr.yaml" {
		t.Errorf("configuration files: %q", text)
	}
	dir := t.TempDir()
	command(t, ".", "dpkg-deb", "--extract", path, dir)
	text, err := exec.Command(filepath.Join(dir, "usr/bin/aidr"), "config", "check", filepath.Join(dir, "etc/aidr/aidr.yaml")).CombinedOutput()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitWarnings) {
		t.Errorf("the configuration of the package: %v\n%s", err, text)
	}
}

// checkImage unpacks the image and runs it in a root directory of its own, as the user of the image: a record gives a finding
// without any file of this machine.
func checkImage(t *testing.T, path string) {
	dir := t.TempDir()
	command(t, dir, "tar", "-xf", path)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Platform.String() != "linux/amd64" {
		t.Fatalf("manifests: %+v", manifest.Manifests)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || c.Healthcheck == nil || !slices.Equal(c.Entrypoint, []string{"/usr/bin/aidr"}) {
		t.Errorf("configuration: %+v", c)
	}
	if os.Geteuid() != 0 {
		t.Skip("a root directory of its own needs root")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	content := mutate.Extract(image)
	defer content.Close()
	unpack(t, content, root)
	record := `{"eventVersion":"1.08","eventTime":"2026-01-31T12:00:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"eu-west-1",` +
		`"userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/a","userName":"a","accountId":"123456789012"},"requestParameters":{"name":"t"},"eventID":"1","recipientAccountId":"123456789012"}`
	cmd := exec.Command("/usr/bin/aidr", "replay", "-")
	cmd.Dir, cmd.Stdin, cmd.Env = "/var/lib/aidr", strings.NewReader(record), config.Config.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
	text, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(text, []byte("aws.audit-logging-stopped")) {
		t.Errorf("replay in the image: %v\n%s", err, text)
	}
}

// unpack writes the files of a tar archive below a folder.
func unpack(t *testing.T, r io.Reader, root string) {
	t.Helper()
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			content, e := io.ReadAll(a)
			if e != nil {
				t.Fatal(e)
			}
			err = os.WriteFile(path, content, fs.FileMode(h.Mode))
		}
		if err == nil {
			err = os.Lchown(path, h.Uid, h.Gid)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestArchivesDependOnFilesAlone checks that archives of the same files have the same bytes, and different ones of others.
func TestArchivesDependOnFilesAlone(t *testing.T) {
	at := time.Unix(1, 0)
	files := []file{{name: "a", dir: true, mode: modeProgram}, {name: "a/b", content: []byte("text"), mode: modeText}}
	for name, make := range map[string]func([]file, time.Time) ([]byte, error){"tar": tarOf, "zip": func(f []file, at time.Time) ([]byte, error) { return zipOf(f[1:], at) }} {
		first, err := make(files, at)
		if err != nil {
			t.Fatal(err)
		}
		second, err := make(files, at)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s: two archives differ (%v)", name, err)
		}
		other, err := make([]file{files[0], {name: "a/b", content: []byte("Text"), mode: modeText}}, at)
		if err != nil || bytes.Equal(first, other) {
			t.Errorf("%s: archives of different files are the same (%v)", name, err)
		}
	}
}

// TestRefusals checks what a release refuses: unknown platforms, folders with files, and work trees with changes.
func TestRefusals(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := clone(t, "v0.0.1")
	if err := os.WriteFile(filepath.Join(changed, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "want -out DIR"},
		{[]string{"-out", "x", "-targets", "plan9/amd64"}, `target "plan9/amd64": want one of`},
		{[]string{"-repo", clone(t, "v0.0.1"), "-out", full}, "is not empty"},
		{[]string{"-repo", changed, "-out", filepath.Join(t.TempDir(), "dist")}, "has changes that are not committed"},
	} {
		if err := run(context.Background(), c.args, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("release %v: %v, want %q", c.args, err, c.want)
		}
	}
}
