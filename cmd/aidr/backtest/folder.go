package backtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/connectors"
)

// folderVersion is the version of the files in the folder of Options.Resume; another one is refused.
const folderVersion = 1

const (
	manifestFile = "run.json"
	reportFile   = "report.json"
)

// folder is the folder of Options.Resume. The stores in it are locked, so that two runs cannot use it at the same time.
type folder struct{ dir string }

// manifest is the content of run.json.
type manifest struct {
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Compares    bool   `json:"compares"`
}

// openFolder makes or opens the folder. If it holds the report of a complete run, that is returned.
func openFolder(opts Options) (f *folder, done *Report, err error) {
	f = &folder{opts.Resume}
	want := manifest{folderVersion, opts.Fingerprint, opts.Against != nil}
	text, err := os.ReadFile(f.path(manifestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil, f.begin(want)
	case err != nil:
		return nil, nil, fmt.Errorf("resume from %q: %w", f.dir, err)
	}
	var have manifest
	if err := json.Unmarshal(text, &have); err != nil {
		return nil, nil, errFolder(f.dir, manifestFile+" is damaged")
	}
	if have != want {
		return nil, nil, errFolder(f.dir, "it holds a run with other rules, files, options or another version of aidr")
	}
	text, err = os.ReadFile(f.path(reportFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("resume from %q: %w", f.dir, err)
	}
	done = new(Report)
	if err := json.Unmarshal(text, done); err != nil {
		return nil, nil, errFolder(f.dir, reportFile+" is damaged")
	}
	return f, done, nil
}

// begin makes an empty folder the folder of a run.
func (f *folder) begin(m manifest) error {
	names, err := os.ReadDir(f.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(f.dir, 0o700) // findings hold content of logs
	case err == nil && len(names) > 0:
		return errFolder(f.dir, "it is not empty, and holds no backtest")
	}
	if err != nil {
		return fmt.Errorf("resume from %q: %w", f.dir, err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return output.Write(f.path(manifestFile), append(text, '\n'))
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// complete keeps the report of a complete run.
func (f *folder) complete(r *Report) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return output.Write(f.path(reportFile), text)
}

// entry is one line of a journal: the counts of a batch, and the position after it.
type entry struct {
	Partition connectors.Partition `json:"partition"`
	Next      int64                `json:"next"`
	End       int64                `json:"end"`
	Final     bool                 `json:"final,omitempty"`
	Counts    counts               `json:"counts"`
}

// journal holds the counts of the batches that an engine has routed, in a file of JSON lines.
type journal struct {
	file *os.File
	buf  bytes.Buffer
}

// openJournal reads the lines of the batches up to the positions of a checkpoint, removes the others from the file, and
// returns the sum of the counts.
func openJournal(path string, positions map[connectors.Partition]int64) (*journal, counts, error) {
	sum := newCounts()
	kept, err := output.Create(path)
	if err != nil {
		return nil, sum, err
	}
	defer kept.Discard()
	reached, err := copyJournal(kept, path, positions, &sum)
	if err != nil {
		return nil, sum, err
	}
	for p := range positions {
		if !reached[p] {
			return nil, sum, errFolder(filepath.Dir(path), fmt.Sprintf("the counts of %s end before its position", p.Topic))
		}
	}
	if err := kept.Commit(); err != nil {
		return nil, sum, err
	}
	j := new(journal)
	j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	return j, sum, err
}

// copyJournal copies the lines of batches up to the positions and adds up their counts. reached holds the partitions whose
// position a line has. A last line without an end was being written when the process was killed: no checkpoint holds its batch.
func copyJournal(to io.Writer, path string, positions map[connectors.Partition]int64, sum *counts) (reached map[connectors.Partition]bool, err error) {
	reached = map[connectors.Partition]bool{}
	from, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return reached, nil
	}
	if err != nil {
		return nil, err
	}
	defer from.Close()
	in, out := bufio.NewReader(from), bufio.NewWriter(to)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return reached, out.Flush()
		}
		if err != nil {
			return nil, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, errFolder(filepath.Dir(path), filepath.Base(path)+" is damaged")
		}
		at, known := positions[e.Partition]
		if !known || e.Next > at {
			continue
		}
		reached[e.Partition] = reached[e.Partition] || e.Next == at
		if _, err := out.Write(line); err != nil {
			return nil, err
		}
		sum.add(&e.Counts)
		sum.move(e.Partition, e.Next, e.End, e.Final)
	}
}

// write appends a line. The operating system has it when write returns, so that a kill loses nothing.
func (j *journal) write(e entry) error {
	j.buf.Reset()
	if err := json.NewEncoder(&j.buf).Encode(e); err != nil {
		return err
	}
	_, err := j.file.Write(j.buf.Bytes())
	return err
}

func (j *journal) close() { j.file.Close() }
