package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestDecodeFIFOEnds checks that SIGTERM ends decode and replay while they wait for the silent writer of a FIFO.
func TestDecodeFIFOEnds(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"decode", "replay"} {
		p := start(t, command, fifo)
		var writer *os.File
		await(t, 30*time.Second, "the process opens the FIFO", func() (err error) {
			writer, err = os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails until there is a reader
			return err
		})
		defer writer.Close()
		if code := p.terminate(); code != exitOK && command == "decode" {
			t.Errorf("%s: exit code %d, %s", command, code, p.lastWords())
		}
	}
}

// TestOutputModes checks that files which commands write can be read by the owner only, and that a link is refused.
func TestOutputModes(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	if err := os.WriteFile(in, []byte("{\"a\":\n{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string]func(path string) []string{
		"dead letters": func(path string) []string { return []string{"decode", "--dead-letters", path, in} },
		"findings":     func(path string) []string { return []string{"replay", "--findings", path, in} },
		"junit":        func(path string) []string { return []string{"rules", "test", "--junit", path} },
		"config":       func(path string) []string { return []string{"config", "init", path} },
		"forced":       func(path string) []string { return []string{"config", "init", "--force", path} },
	} {
		path := filepath.Join(dir, "new "+name)
		o := aidr(t, args(path)...)
		if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: got %v, %v, want mode 0600\n%s", name, info, err, o.stderr)
		}
		if o := aidr(t, args(link)...); o.code == exitOK {
			t.Errorf("%s: wrote through a link\n%s", name, o.stderr)
		}
	}
	if b, err := os.ReadFile(victim); string(b) != "mine" {
		t.Errorf("the target of the link: got %q, %v", b, err)
	}
}
