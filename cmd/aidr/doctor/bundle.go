package doctor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine"
)

// maxBundleLog is how much of a log file goes into a bundle, in bytes from its end.
const maxBundleLog = 1 << 20

// bundleAbout is the README of a bundle.
const bundleAbout = `A bundle of aidr doctor. Secrets of the configuration and credentials of known forms are replaced by [removed]; comments of the
configuration are left out. Names of agents, topics, hosts and rules are in it, and texts of logs may be in the log of aidr.

checks.txt    the checks, with what to do
checks.jsonl  the same as JSON
config.yaml   the configuration
version.json  program, system, digest of the rules
status.json   aidr status --json of the running process
metrics.txt   its metrics
costs.json    aidr rules top of it
log.txt       the end of its log
`

// BundleOptions are for WriteBundle.
type BundleOptions struct {
	Options
	Version string
	Log     string // file with the log of aidr; "": ask the running process
	Now     time.Time
}

// bundle is a bundle that is being written.
type bundle struct {
	tar     *tar.Writer
	secrets []string
	now     time.Time
	err     error
}

// add adds a file without secrets.
func (b *bundle) add(name string, text []byte) {
	if b.err != nil {
		return
	}
	text = config.WithoutSecrets(text, b.secrets)
	b.err = b.tar.WriteHeader(&tar.Header{Name: "aidr-doctor/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: b.now.UTC().Truncate(time.Second)})
	if b.err == nil {
		_, b.err = b.tar.Write(text)
	}
}

func (b *bundle) addJSON(name string, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		text = []byte(err.Error())
	}
	b.add(name, append(text, '\n'))
}

// WriteBundle writes a gzipped tar file with what an examination found and what the running process reports.
func WriteBundle(ctx context.Context, w io.Writer, x *Examination, o BundleOptions) error {
	z := gzip.NewWriter(w)
	b := &bundle{tar: tar.NewWriter(z), now: o.Now}
	if x.Config != nil {
		b.secrets = config.Secrets(x.Config)
	}
	b.add("README.txt", []byte(bundleAbout))
	b.checks(x.Checks)
	if src, err := os.ReadFile(o.File); err == nil {
		redacted, err := config.Redacted(src)
		if err != nil {
			redacted = []byte("# left out: " + err.Error() + "\n")
		}
		b.add("config.yaml", redacted)
	}
	b.addJSON("version.json", versionOf(x, o.Version))
	if x.Status != nil {
		b.addJSON("status.json", x.Status)
	}
	b.running(ctx, x, o)
	if o.Log != "" {
		text, err := endOf(o.Log)
		if err != nil {
			text = []byte(err.Error() + "\n")
		}
		b.add("log.txt", text)
	}
	if b.err != nil {
		return b.err
	}
	if err := b.tar.Close(); err != nil {
		return err
	}
	return z.Close()
}

func (b *bundle) checks(all []Check) {
	var text, lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, c := range all {
		fmt.Fprintln(&text, c)
		if err := enc.Encode(c); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	b.add("checks.txt", text.Bytes())
	b.add("checks.jsonl", lines.Bytes())
}

// machine describes the program and the system.
type machine struct {
	Version     string `json:"version"`
	Go          string `json:"go"`
	System      string `json:"system"`
	Cores       int    `json:"cores"`
	Rules       int    `json:"rules"`
	RulesDigest string `json:"rules_digest,omitempty"` // see pipeline.RulesDigest
	Digest      string `json:"config_digest,omitempty"`
	Problem     string `json:"rules_problem,omitempty"`
}

func versionOf(x *Examination, version string) machine {
	m := machine{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
	if x.Config == nil {
		return m
	}
	m.Digest = config.Digest(x.Config)
	var err error
	if m.RulesDigest, m.Rules, err = pipeline.RulesDigest(x.Config); err != nil {
		m.Problem = err.Error()
	}
	return m
}

// running adds what only the running process knows. A request that fails leaves its reason in place of the answer.
func (b *bundle) running(ctx context.Context, x *Examination, o BundleOptions) {
	if x.Status == nil || !x.Status.Running || o.Dial == nil {
		return
	}
	c, err := o.Dial(x.Config.State.Dir)
	if err != nil {
		return // the checks have the reason
	}
	defer c.Close()
	lines := func(name, path string) {
		var text strings.Builder
		err := c.Lines(ctx, path, nil, func(line []byte) bool {
			text.Write(line)
			text.WriteByte('\n')
			return true
		})
		if err != nil {
			fmt.Fprintln(&text, err)
		}
		b.add(name, []byte(text.String()))
	}
	lines("metrics.txt", "/v1/metrics")
	if o.Log == "" {
		lines("log.txt", "/v1/log")
	}
	var costs engine.Ledger
	if err := c.Do(ctx, "GET", "/v1/rules/top", url.Values{"limit": {"0"}}, &costs); err == nil {
		b.addJSON("costs.json", &costs)
	}
}

// endOf returns the end of a file.
func endOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-maxBundleLog), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxBundleLog))
}
