package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/backtest"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/schema/content"
)

// backtestFlags are the flags of `aidr rules backtest`.
type backtestFlags struct {
	rulesDirs, delays, against           []string
	lists, agents, until, resume, report string
	start                                string
	cpu                                  int
	asJSON, quiet                        bool
	from                                 reading
}

// backtestMemory is the memory in bytes that a backtest keeps below if its State lets it: beyond, garbage is collected more often,
// and with --resume State is paged out. The shipped rules need a third of it.
const backtestMemory = 1 << 30

func rulesBacktestCommand() *cobra.Command {
	var b backtestFlags
	c := &cobra.Command{
		Use:   "backtest [flags] [FILE...]",
		Short: "Run rules over history: findings by rule, agent and day, and how those of two sets of rules differ",
		Long: `backtest runs rules over files, or without FILE over a source of --config, through the code path of aidr run, and prints for
each rule how often it matched, what its exceptions suppressed, its findings, those that were still open at the end, and its
rate per day beside the rate that its author expects. A Kafka source is read from --start to its end, without joining the
consumer group. The report depends on the input and the rules alone: two runs print the same bytes.

--against compares with another set of rules in the same pass: findings that only one of them has, and those that differ,
each with the reason. The rules of --rules are the left side.

--resume keeps the progress in a folder. After an interruption or a kill, the same command goes on from there, and its report
is that of a run without one. Without --resume, an interruption ends the run as well with a report of what was read; that
report says how far it went.

Exit code 0: the report is complete, 1: the run failed or was interrupted.

` + readingHelp,
		Args: args(cobra.ArbitraryArgs),
		RunE: b.run,
	}
	f := c.Flags()
	f.StringArrayVar(&b.rulesDirs, "rules", nil, "folder or file of rules; may be repeated (default: the shipped rules)")
	f.StringArrayVar(&b.against, "against", nil, "folder or file of the rules to compare with; may be repeated")
	f.StringVar(&b.lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&b.agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	f.StringVar(&b.until, "until", "", "instant to which time advances at the end, such as 2026-01-31T12:00:00Z")
	f.StringArrayVar(&b.delays, "delay", nil, "DATASET=DURATION: how long after its event a record may arrive; may be repeated")
	f.StringVar(&b.start, "start", "first", "where reading of a Kafka source begins: first, last, or an instant")
	f.StringVar(&b.resume, "resume", "", "folder for the progress, from which an interrupted run goes on")
	f.IntVar(&b.cpu, "cpu", 0, "number of cores to use (default: all)")
	f.StringVar(&b.report, "report", "-", "output file of the report, - for standard output")
	f.BoolVar(&b.asJSON, "json", false, "print the report as JSON")
	f.BoolVar(&b.quiet, "quiet", false, "show no progress")
	b.from.flags(c)
	return c
}

func (b *backtestFlags) run(cmd *cobra.Command, paths []string) error {
	growth(replayGrowth)
	softLimit(backtestMemory)
	if len(paths) == 0 && b.from.config == "" {
		return usage("name files, or a configuration with --config whose source is read")
	}
	if b.cpu < 0 {
		return usage("--cpu %d: write the number of cores", b.cpu)
	}
	if b.cpu > 0 {
		runtime.GOMAXPROCS(b.cpu)
	}
	if err := b.from.load(cmd); err != nil {
		return err
	}
	opts, err := b.options(cmd, paths)
	if err != nil {
		return err
	}
	bar := newReadingBar(cmd.ErrOrStderr(), paths, b.quiet)
	opts.Progress = bar.update
	report, err := backtest.Run(cmd.Context(), opts)
	bar.end()
	if report == nil {
		return err
	}
	if failed := b.write(cmd, report); failed != nil {
		return errors.Join(err, failed)
	}
	if err == nil && !report.Complete {
		err = errors.New("interrupted: the report is of the records up to the positions that it names" + b.goesOn())
	}
	return err
}

// goesOn describes how an interrupted run is continued.
func (b *backtestFlags) goesOn() string {
	if b.resume == "" {
		return ""
	}
	return "; the same command goes on from there"
}

// options returns the options of the run. Problems of the rules are printed.
func (b *backtestFlags) options(cmd *cobra.Command, paths []string) (opts backtest.Options, err error) {
	files := b.from.ruleFiles(b.rulesDirs, b.lists, b.agents)
	if opts.Set, err = loadSet(cmd, files); err != nil {
		return opts, err
	}
	other := b.from.ruleFiles(b.against, b.lists, b.agents)
	if len(b.against) > 0 {
		if opts.Against, err = loadSet(cmd, other); err != nil {
			return opts, err
		}
	}
	in, err := b.input(cmd, paths)
	if err != nil {
		return opts, err
	}
	if opts.Until, err = parseUntil(b.until); err != nil {
		return opts, err
	}
	opts.Inputs, opts.CPU, opts.Resume, opts.Memory = []engine.Input{in}, b.cpu, b.resume, backtestMemory/2
	opts.Redact, opts.Redaction, opts.Text = content.Redact, b.from.cfg.Redact, pipeline.RuleText
	if b.resume != "" {
		opts.Fingerprint, err = b.fingerprint(paths, files, other)
	}
	return opts, err
}

// input returns the input of the files or, without files, that of the source of the configuration.
func (b *backtestFlags) input(cmd *cobra.Command, paths []string) (in engine.Input, err error) {
	if len(paths) > 0 {
		if in, err = b.from.input(cmd); err != nil {
			return in, err
		}
		if in.Source, err = file.New(file.Config{Name: "backtest", Paths: paths, Stdin: cmd.InOrStdin()}); err != nil {
			return in, &exit{exitUsage, err}
		}
	} else {
		cfg, err := loadConfig(cmd, b.from.config)
		if err != nil {
			return in, err
		}
		if in, err = pipeline.MeasuredInput(cfg, b.from.source, b.start, slog.New(slog.DiscardHandler)); err != nil {
			return in, err
		}
	}
	in.Delays, err = addDelays(in.Delays, b.delays)
	return in, err
}

// fingerprint identifies everything that the report depends on: the program, the flags, the content of rules and other files
// that are read, and the names, sizes and times of the logs.
func (b *backtestFlags) fingerprint(paths []string, sets ...pipeline.RuleFiles) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", []any{version(), b.until, b.start, b.from.source, b.from.format, b.delays, len(b.against)})
	for _, set := range sets {
		fmt.Fprintf(h, "%q\n", set.Paths)
		named := slices.Concat(set.Paths, set.Maps, []string{set.Lists, set.Agents})
		for _, path := range named {
			if path == "" || path == pipeline.Library {
				continue
			}
			if err := hashFiles(h, path); err != nil {
				return "", err
			}
		}
	}
	if b.from.config != "" {
		if err := hashFiles(h, b.from.config); err != nil {
			return "", err
		}
	}
	logs, err := file.List(paths, nil)
	if err != nil {
		return "", err
	}
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return "", usage("--resume: %s is not a file that can be read again: write its records to a file first", path)
		}
		fmt.Fprintf(h, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashFiles adds the names and contents of the files below a path.
func hashFiles(h hash.Hash, path string) error {
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(text))
		return nil
	})
}

// write writes the report where --report and --json say.
func (b *backtestFlags) write(cmd *cobra.Command, r *backtest.Report) (err error) {
	w := cmd.OutOrStdout()
	if b.report != "-" {
		f, err := output.Create(b.report)
		if err != nil {
			return err
		}
		defer f.Discard()
		if err := b.print(f, r); err != nil {
			return err
		}
		return f.Commit()
	}
	return b.print(w, r)
}

func (b *backtestFlags) print(w io.Writer, r *backtest.Report) error {
	if !b.asJSON {
		return printBacktest(w, r)
	}
	enc := json.NewEncoder(jsonTo(w))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// readingBar shows on one line of a terminal how much of the files was read. It shows nothing elsewhere.
type readingBar struct {
	w     io.Writer // nil: nothing is shown
	sizes map[string]int64
	total int64
	read  map[string]int64
	sum   int64
	began time.Time
	last  time.Time
	shown bool
}

// barWidth is the number of characters of the bar itself.
const barWidth = 30

func newReadingBar(w io.Writer, paths []string, quiet bool) *readingBar {
	b := &readingBar{sizes: map[string]int64{}, read: map[string]int64{}, began: time.Now()}
	if _, ok := terminal(w); ok && !quiet {
		b.w = w
	}
	logs, err := file.List(paths, nil)
	if err != nil {
		return b // the run reports it
	}
	for _, path := range logs {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			b.sizes[path] = info.Size()
			b.total += info.Size()
		}
	}
	return b
}

// update is a backtest.Options.Progress.
func (b *readingBar) update(p backtest.Progress) {
	topic, size := p.Partition.Topic, p.End
	if known, ok := b.sizes[p.Partition.Topic]; ok {
		size = known
	} else if p.End > b.sizes[topic] { // a topic of Kafka, in records
		b.total += p.End
		b.sizes[topic] = p.End
	}
	done := min(p.Position, size) // of a compressed file the position is beyond its size
	if p.Final {
		done = size
	}
	b.sum += done - b.read[topic]
	b.read[topic] = done
	now := time.Now()
	if b.w == nil || now.Sub(b.last) < progressEvery {
		return
	}
	b.last, b.shown = now, true
	fmt.Fprint(b.w, "\r"+b.line(p, now.Sub(b.began)))
}

// line renders the bar.
func (b *readingBar) line(p backtest.Progress, took time.Duration) string {
	share := 0.0
	if b.total > 0 {
		share = min(1, float64(b.sum)/float64(b.total))
	}
	full := int(share * barWidth)
	left := "?"
	if share > 0.01 {
		left = time.Duration(float64(took) * (1 - share) / share).Round(time.Second).String()
	}
	return fmt.Sprintf("[%s%s] %3.0f %%  %d records, %d findings, %s left   ", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		100*share, p.Records, p.Findings, left)
}

// end ends the line.
func (b *readingBar) end() {
	if b.shown {
		fmt.Fprintln(b.w)
	}
}
