package file

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// endless is a reader of pipes and devices: it reports its first batch, and needs no more.
type endless struct {
	*conntest.Recorder
	first chan string
}

func (e endless) Read(ctx context.Context, b *connectors.Batch) error {
	select {
	case e.first <- b.Raw:
	default:
	}
	return nil
}

// TestInterrupted checks that the end of the context ends a Run that waits for a pipe or standard input without a
// writer, for a writer that is silent, or that reads a device without an end; and that text without a line end does not
// become a record.
func TestInterrupted(t *testing.T) {
	fifo := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name   string
		config func(t *testing.T) Config
		want   string // the records that are passed on, if they come in time
	}{
		{"fifo without writer", func(t *testing.T) Config { return Config{Paths: []string{fifo(t)}} }, ""},
		{"followed fifo", func(t *testing.T) Config { return Config{Paths: []string{fifo(t)}, Follow: true} }, ""},
		{"silent writer", func(t *testing.T) Config {
			path := fifo(t)
			go func() {
				w, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					io.WriteString(w, "{\"a\":1}\n{\"cut")
					t.Cleanup(func() { w.Close() })
				}
			}()
			return Config{Paths: []string{path}}
		}, `{"a":1}`},
		{"silent standard input", func(t *testing.T) Config {
			r, w := io.Pipe()
			t.Cleanup(func() { w.Close() })
			return Config{Paths: []string{"-"}, Stdin: r}
		}, ""},
		{"endless device", func(*testing.T) Config { return Config{Paths: []string{"/dev/zero"}} }, "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.config(t)
			cfg.Name = "files"
			s := newSource(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			e := endless{conntest.NewRecorder(), make(chan string, 1)}
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx, e) }()
			time.AfterFunc(50*time.Millisecond, cancel) // Run blocks in the kernel, and no event reports that it does
			select {
			case err := <-ended:
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Run goes on after the end of its context")
			}
			got := ""
			select {
			case got = <-e.first:
			default:
			}
			if c.want != "*" && got != "" && got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if h := s.Health(); h.Degraded {
				t.Errorf("degraded: %v", h.Reason)
			}
		})
	}
}
