package file

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"
)

// Config of a file source.
type Config struct {
	// Name is the source's name in the configuration.
	Name string
	// Paths are files, directories (read recursively, in lexical order, hidden names left out), or "-" for Stdin. Each
	// file is one partition whose topic is its path as given.
	Paths []string
	// Include are patterns of path.Match for the base names of files in directories; empty means all.
	Include []string
	// Follow keeps reading what is appended, also past a rotation or truncation, and takes up files that appear.
	// Compressed files and Stdin are read once.
	Follow bool
	// Poll is how often a followed file is looked at where the system's notifications fail; 0 means DefaultPoll.
	Poll time.Duration

	Stdin io.Reader    // what "-" reads
	Log   *slog.Logger // nil: nothing is logged
}

// DefaultPoll is how often a followed file is looked at. Notifications come first; this is for the file systems that
// have none (NFS, some container mounts).
const DefaultPoll = time.Second

// Validate returns all that is wrong with c, joined.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("no paths: name at least one file or directory"))
	}
	for _, p := range c.Paths {
		if p == "" {
			errs = append(errs, errors.New("an empty path: name a file or directory"))
		}
		if p == "-" && c.Stdin == nil {
			errs = append(errs, errors.New(`path "-": standard input is not available here: name a file`))
		}
	}
	for _, pattern := range c.Include {
		if _, err := filepath.Match(pattern, "x"); err != nil {
			errs = append(errs, fmt.Errorf("include %q: %w", pattern, err))
		}
	}
	if c.Poll < 0 {
		errs = append(errs, fmt.Errorf("poll %v: must not be negative", c.Poll))
	}
	return errors.Join(errs...)
}
