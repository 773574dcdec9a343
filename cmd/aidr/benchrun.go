package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema/content"
)

// runResult is the output of `aidr bench run`. Its JSON names are a contract.
type runResult struct {
	Records  int64   `json:"records"`
	Bytes    int64   `json:"bytes"`
	Findings int     `json:"findings"`
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu_seconds"`
	Cores    int     `json:"cores"`
	Rules    int     `json:"rules"`
	Peak     int64   `json:"peak_memory_bytes"`
}

// runBench holds the flags of `aidr bench run`.
type runBench struct {
	rulesDirs                     []string
	lists, agents, profile, start string
	cores, shards                 int
	most                          time.Duration
	durable                       bool
	from                          reading
}

func benchRunCommand() *cobra.Command {
	var b runBench
	c := &cobra.Command{
		Use:   "run [flags] [FILE...]",
		Short: "Measure the whole pipeline: reading, decoding, matching, State and findings",
		Long: `run sends the records of files through the pipeline of aidr run, or, without FILE, those of a source of --config: a Kafka
source is then read from --start to its end, without joining the consumer group. It prints one JSON object:

  records, bytes     number of records read, and their bytes
  findings           number of findings at the end
  seconds            duration from the first read to the last finding
  cpu_seconds        time on all cores; 0 if the system does not report it
  cores, rules       number of cores that may be used, and of active rules
  peak_memory_bytes  largest memory of the process, the loading of the rules included

--profile writes a CPU profile of this time, for go tool pprof. With --durable, checkpoints with State and findings are
written to a temporary directory every 250 ms, as aidr run does; otherwise everything stays in memory.

` + readingHelp,
		Args: args(cobra.ArbitraryArgs),
		RunE: b.run,
	}
	f := c.Flags()
	f.StringArrayVar(&b.rulesDirs, "rules", nil, "folder or file of rules; may be repeated (default: the shipped rules)")
	f.StringVar(&b.lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&b.agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	f.StringVar(&b.profile, "profile", "", "output file of a CPU profile")
	f.StringVar(&b.start, "start", "first", "where reading of a Kafka source begins: first, last, or an instant")
	f.IntVar(&b.cores, "cores", 0, "number of cores to use (default: all)")
	f.IntVar(&b.shards, "shards", 0, "number of shards (default: one per core)")
	f.DurationVar(&b.most, "time", 0, "largest duration of reading; 0: to the end")
	f.BoolVar(&b.durable, "durable", false, "write checkpoints to a temporary directory")
	b.from.flags(c)
	return c
}

func (b *runBench) run(cmd *cobra.Command, paths []string) error {
	growth(replayGrowth)
	if b.cores > 0 {
		runtime.GOMAXPROCS(b.cores)
	}
	if len(paths) == 0 && b.from.config == "" {
		return usage("name files, or a configuration with --config whose source is read")
	}
	if err := b.from.load(cmd); err != nil {
		return err
	}
	set, problems := pipeline.LoadRules(b.from.ruleFiles(b.rulesDirs, b.lists, b.agents))
	if set == nil { // warnings do not matter here
		printProblems(cmd.ErrOrStderr(), problems)
		return &exit{exitFailed, fmt.Errorf("cannot load the rules: see above")}
	}
	in, err := b.input(cmd, paths)
	if err != nil {
		return err
	}
	source := &countedSource{Source: in.Source, most: b.most}
	in.Source = source
	opts := engine.Options{
		Set: set, Inputs: []engine.Input{in}, Shards: b.shards, Redact: content.Redact, Redaction: b.from.cfg.Redact,
	}
	if b.durable {
		remove, err := openTemporary(&opts)
		if err != nil {
			return err
		}
		defer remove()
	}
	result := runResult{Cores: runtime.GOMAXPROCS(0), Rules: set.NumActive()}
	if err := b.measure(cmd.Context(), opts, &result); err != nil {
		return err
	}
	result.Records, result.Bytes = source.records.Load(), source.bytes.Load()
	if result.Records == 0 {
		return errors.New("there are no records to read")
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
}

// input returns the input of the files or, without files, that of the source of the configuration.
func (b *runBench) input(cmd *cobra.Command, paths []string) (in engine.Input, err error) {
	if len(paths) == 0 {
		cfg, err := loadConfig(cmd, b.from.config)
		if err != nil {
			return in, err
		}
		return pipeline.MeasuredInput(cfg, b.from.source, b.start, slog.New(slog.DiscardHandler))
	}
	if in, err = b.from.input(cmd); err != nil {
		return in, err
	}
	if in.Source, err = file.New(file.Config{Name: "bench", Paths: paths, Stdin: cmd.InOrStdin()}); err != nil {
		return in, &exit{exitUsage, err}
	}
	return in, nil
}

// openTemporary gives the engine a store in a temporary directory. remove deletes it.
func openTemporary(opts *engine.Options) (remove func(), err error) {
	dir, err := os.MkdirTemp("", "aidr-bench-")
	if err != nil {
		return nil, err
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	opts.Store = s
	return func() {
		s.Close()
		os.RemoveAll(dir)
	}, nil
}

// measure runs the pipeline and fills in what it measures.
func (b *runBench) measure(ctx context.Context, opts engine.Options, r *runResult) (err error) {
	if b.profile != "" {
		f, failed := output.Create(b.profile)
		if failed != nil {
			return failed
		}
		defer f.Discard()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			if err == nil {
				err = f.Commit()
			}
		}()
	}
	runtime.GC() // loading left a collection to do, which is not part of the measurement
	before, _ := processUsage()
	began := time.Now()
	found, err := engine.Replay(ctx, opts, 0)
	if err != nil {
		return err
	}
	after, peak := processUsage()
	r.Findings, r.Seconds, r.CPU, r.Peak = len(found), time.Since(began).Seconds(), (after - before).Seconds(), peak
	return nil
}

// countedSource counts the records that are read of a source, and ends it after a time.
type countedSource struct {
	connectors.Source
	most           time.Duration // 0: no limit
	records, bytes atomic.Int64
}

// Run implements connectors.Source.
func (s *countedSource) Run(ctx context.Context, r connectors.Reader) error {
	outer := ctx
	if s.most > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.most)
		defer stop()
	}
	err := s.Source.Run(ctx, countingReader{r, s})
	if ctx.Err() != nil && outer.Err() == nil {
		return nil
	}
	return err
}

// countingReader counts the records that it passes on.
type countingReader struct {
	connectors.Reader
	source *countedSource
}

// Read implements connectors.Reader.
func (r countingReader) Read(ctx context.Context, b *connectors.Batch) error {
	records, bytes := int64(len(b.Records)), int64(0)
	for i := range b.Records {
		bytes += int64(b.Records[i].End - b.Records[i].Start)
	}
	if err := r.Reader.Read(ctx, b); err != nil {
		return err
	}
	r.source.records.Add(records)
	r.source.bytes.Add(bytes)
	return nil
}
