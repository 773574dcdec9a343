package file

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"
)

// Config configures a file source.
type Config struct {
	// Name is the source's name in the configuration.
	Name string
	// Paths are files, directories, or "-" for Stdin. Directories are read recursively in lexical order, without hidden
	// names. Each file is one partition, whose topic is the path as given.
	Paths []string
	// Include are patterns of filepath.Match for the base names of files in directories; empty means every file.
	Include []string
	// Follow keeps reading the text that is appended to the files, also after a rotation or truncation, and reads files
	// that appear later. Compressed files and Stdin are read once.
	Follow bool
	// Poll is the interval at which a followed file is checked for changes, in case the system's notifications fail; 0 means
	// DefaultPoll.
	Poll time.Duration

	Stdin io.Reader    // the input for "-"
	Log   *slog.Logger // nil: no logging
}

// DefaultPoll is the default of Config.Poll. Notifications are faster; polling is for file systems without them, such as
// NFS and some container mounts.
const DefaultPoll = time.Second

// Validate returns all problems of c, joined.
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
