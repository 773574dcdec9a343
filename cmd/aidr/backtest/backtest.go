// Package backtest runs rules over history and reports what they would have found: findings by rule, agent and day, with
// what exceptions removed, beside the rate that the rule's author expects. With a second set of rules it reports how the
// findings of the two differ, and why.
//
//	report, err := backtest.Run(ctx, backtest.Options{Set: set, Inputs: inputs})
//
// A backtest is a replay: the code path of a running engine, in event time. Its report depends on the records, the rules
// and the options alone, and two runs give the same bytes.
//
// # One pass, two sets
//
// With Options.Against, each batch of records is read once and handed to two engines, one for each set. Both have therefore
// read the same records whenever the run ends.
//
// # Interruption
//
// When the context ends, Run returns a report of what was read so far; Report.Complete is then false and Report.Partitions
// holds the positions. The findings of such a report are provisional: those that wait for later records are missing.
//
// With Options.Resume, State, findings and positions are in a folder, and a run that was interrupted or killed goes on from
// there:
//
//	run.json     what the run depends on; a run with anything else refuses the folder
//	left, right  the state directory of each engine (engine/store)
//	left.counts, right.counts
//	             one line for each batch with its partition, the position after it and its counts
//	report.json  the report, once the run is complete
//
// The engines' checkpoints are atomic, but know no counts. A line of counts is written before a checkpoint can hold the
// position of its batch. A resumed run therefore finds the lines of all batches up to the position of the checkpoint, and
// drops those after it, which come again.
//
// Memory does not grow with the input: a finding is added up and forgotten once it is settled. What remains is the State of
// the rules, a number for each rule and agent with findings, and, with two sets, about 500 bytes for each finding. With
// Resume the State is paged out within Options.Memory.
package backtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// resumeEvery is the pace of checkpoints of a run that can be resumed: a kill costs at most this much of the work, and the
// checkpoints about a hundredth of it.
const resumeEvery = 5 * time.Second

// Options are what a backtest runs over and with.
type Options struct {
	Set     *rules.Set
	Against *rules.Set     // the right side of a comparison; nil: only Set runs
	Inputs  []engine.Input // bounded sources, each used by this run only
	// Until is an instant to which time moves on after the last record; 0: time ends with the highest event time.
	Until schema.Instant
	// CPU is the number of cores that may decode and match, and of shards; 0: all. Reading takes a little of another.
	// GOMAXPROCS limits all of the process exactly.
	CPU int
	// Memory is the budget in bytes of each engine of a run with Resume; 0: budget.Default. Without Resume there is no limit.
	Memory    int64
	Redact    func(string) string
	Redaction *schema.Redaction

	// Resume is a folder for the progress of the run, made if it does not exist; "": the run cannot be resumed.
	Resume string
	// Fingerprint identifies everything that a run with Resume depends on, such as a hash of rules, files and options.
	Fingerprint string

	// Text returns the text of a rule file, for the reasons of differences; nil: they name no keys of rules.
	Text func(file string) ([]byte, error)
	// Progress is called after each batch, by one goroutine at a time. It must not block for long. nil: no calls.
	Progress func(Progress)
	Log      *slog.Logger // nil: no logging
}

// Progress is how far a run has come.
type Progress struct {
	Partitions, Ended int                  // number of partitions, and of those that are read to their end
	Records, Findings int64                // so far; findings of both sides
	Partition         connectors.Partition // of the last batch
	Position          int64                // of this partition, after the batch
	End               int64                // of this partition; -1 if unknown
	Final             bool                 // this partition has ended
}

// sides are the names of the sets of a comparison, and of their files in the folder of Options.Resume.
var sides = [2]string{"left", "right"}

// Run runs the rules over the inputs. When ctx ends, the report is of what was read so far. If a source fails, the report is
// of the others, and the error names it. Otherwise the report is nil if there is an error.
func Run(ctx context.Context, opts Options) (*Report, error) {
	r, done, err := open(opts)
	if err != nil || done != nil {
		return done, err
	}
	defer r.close()
	read := engine.RunSources(ctx, r, opts.Inputs)
	interrupted := ctx.Err() != nil
	if err := r.end(context.WithoutCancel(ctx), interrupted); err != nil {
		return nil, errors.Join(read, err)
	}
	report := r.report(!interrupted && read == nil)
	if report.Complete && opts.Resume != "" {
		if err := r.folder.complete(report); err != nil {
			return nil, err
		}
	}
	return report, read
}

// run is one backtest under way. It is the connectors.Reader of its sources.
type run struct {
	opts   Options
	sides  []*side
	folder *folder // nil without Resume
	reader
}

// open starts the engines. If the folder holds the report of a complete run, open returns that.
func open(opts Options) (r *run, done *Report, err error) {
	r = &run{opts: opts}
	if opts.Resume != "" {
		if r.folder, done, err = openFolder(opts); err != nil || done != nil {
			return nil, done, err
		}
	}
	sets := []*rules.Set{opts.Set}
	if opts.Against != nil {
		sets = append(sets, opts.Against)
	}
	for i, set := range sets {
		s, err := openSide(opts, sides[i], set, r.folder, len(sets) > 1)
		if err != nil {
			r.close()
			return nil, nil, err
		}
		r.sides = append(r.sides, s)
	}
	r.reader = newReader(r.sides, opts.Progress)
	return r, nil, nil
}

// end ends the engines. An interruption leaves their event time unchanged, so that the run can be resumed.
func (r *run) end(ctx context.Context, interrupted bool) error {
	var errs []error
	for _, s := range r.sides {
		if interrupted {
			errs = append(errs, s.engine.Stop(ctx))
		} else {
			errs = append(errs, s.engine.Finish(ctx, r.opts.Until))
		}
		s.ended = true
		errs = append(errs, s.failure())
	}
	return errors.Join(errs...)
}

// close frees what the run holds. It ends engines that still run, if the run failed.
func (r *run) close() {
	for _, s := range r.sides {
		s.close()
	}
}

// errFolder returns an error about the folder of a run, with a remedy.
func errFolder(dir string, why string) error {
	return fmt.Errorf("resume from %q: %s: name another folder, or remove this one to start again", dir, why)
}
