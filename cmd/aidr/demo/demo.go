// Package demo plays a story in one process with a Kafka broker, a producer, the engine with the shipped rules, a local
// store, and a receiver of webhooks that checks signatures. Nothing has to be installed or configured.
//
//	story -> broker (kfake, or --kafka ADDR) -> aidr run's own pipeline -> findings in the state directory
//	                                                                   -> webhook -> receiver, which verifies
//	                                                                   -> ClickHouse (--clickhouse)
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/rules/library"
)

const (
	// drainTime is the maximum time from the last record to the last delivery.
	drainTime = 30 * time.Second
	// quietTime is how long nothing must change before the demo is considered finished.
	quietTime = 700 * time.Millisecond
)

// fixedStart is the start of the story if the output must be deterministic: ids and texts of findings depend on it.
var fixedStart = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)

// Options of the demo.
type Options struct {
	Once       bool       // play the story as fast as possible, then end
	JSON       bool       // print only a JSON summary
	Kafka      string     // host:port of a broker; "": a broker in this process
	ClickHouse string     // DSN of a server; "local": the engine in a child process, which must be installed; "": no ClickHouse
	State      string     // folder for all files of the demo; "": a temporary one, which is kept
	Console    string     // host:port of the web console; "": no console
	Stay       bool       // keep running after the story, until ctx is done, so that the console can be used
	Terminal   bool       // Out is a terminal
	Width      func() int // current width of the terminal, in columns
	Out        io.Writer
	Err        io.Writer
	Version    string
}

// Run plays the story.
func Run(ctx context.Context, opts Options) (err error) {
	d := &demo{opts: opts, show: newDisplay(opts)}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.play(ctx)
}

type demo struct {
	opts     Options
	show     *display
	state    string
	broker   string
	receiver *receiver
	engine   *host.Engine
	cfg      *config.Config
	closers  []func() error
}

func (d *demo) close() (err error) {
	for i := len(d.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, d.closers[i]())
	}
	return err
}

// prepare starts everything around the engine.
func (d *demo) prepare(ctx context.Context) error {
	if err := d.folder(); err != nil {
		return err
	}
	d.broker = d.opts.Kafka
	if d.broker == "" {
		addr, stop, err := startBroker()
		if err != nil {
			return err
		}
		d.broker = addr
		d.closers = append(d.closers, func() error { stop(); return nil })
	} else if err := createTopics(ctx, d.broker); err != nil {
		return err
	}
	r, err := startReceiver(d.show.delivery)
	if err != nil {
		return err
	}
	d.receiver = r
	d.closers = append(d.closers, r.close)
	if d.opts.ClickHouse == "local" {
		e, err := host.Start(ctx, host.Options{Dir: filepath.Join(d.state, "clickhouse"), HTTP: true})
		if err != nil {
			return fmt.Errorf("start the ClickHouse engine: %w", err)
		}
		d.engine = e
		d.closers = append(d.closers, e.Stop)
		d.opts.ClickHouse = e.DSN
	}
	d.cfg = d.config()
	return nil
}

// folder creates the state directory, with the registry of agents in it.
func (d *demo) folder() (err error) {
	if d.state = d.opts.State; d.state == "" {
		if d.state, err = os.MkdirTemp("", "aidr-demo-"); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(d.state, "drafts"), 0o700); err != nil {
		return err
	}
	if err := output.Write(filepath.Join(d.state, "agents.yaml"), []byte(registry())); err != nil {
		return err
	}
	return writeRules(filepath.Join(d.state, "rules"))
}

// writeRules writes the shipped rules into a folder, with the rule of the story beside them.
func writeRules(dir string) error {
	err := fs.WalkDir(library.FS, ".", func(path string, e fs.DirEntry, err error) error {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err != nil || e.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o700))
		}
		b, err := library.FS.ReadFile(path)
		if err != nil {
			return err
		}
		return output.Write(to, b)
	})
	if err != nil {
		return err
	}
	to := filepath.Join(dir, "demo")
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return output.Write(filepath.Join(to, "hijack.yaml"), []byte(hijackRule))
}

func (d *demo) config() *config.Config {
	c := &config.Config{
		File: "demo", Agents: filepath.Join(d.state, "agents.yaml"), Rules: []string{filepath.Join(d.state, "rules")},
		Sources: []config.Source{{
			Name: "demo", Format: "auto",
			Delay: map[string]time.Duration{"": 30 * time.Second}, // the producer of the demo is never later
			Kafka: &config.Kafka{
				Brokers: []string{d.broker}, Topics: []string{topicLLM, topicGateway, topicCloud}, Group: "aidr-demo", Start: "first",
			},
		}},
		State:   config.State{Dir: filepath.Join(d.state, "state")},
		HTTP:    config.HTTP{Listen: "127.0.0.1:0"},
		Console: config.Console{Listen: d.opts.Console, Drafts: filepath.Join(d.state, "drafts")},
	}
	if d.opts.Once && !d.opts.Stay {
		// One checkpoint at the end, so that every finding is delivered once, with all of its events.
		c.State.CheckpointEvery = time.Minute
	}
	if d.opts.Stay {
		c.Decisions = config.Decisions{Listen: "127.0.0.1:0", Open: gatewayName, FirstStart: time.Now()}
		c.Response.VerifyAfter, c.Response.Grace = gatewayProof, time.Second
	}
	c.Sinks.Webhooks = []config.Webhook{{
		Name: "soc", URL: d.receiver.url, Secrets: []string{d.receiver.secret}, AllowNetworks: []string{"127.0.0.0/8"},
	}}
	if d.opts.ClickHouse != "" {
		c.Sinks.ClickHouse = &config.ClickHouse{DSN: d.opts.ClickHouse, Migrate: true}
	}
	return c
}

// deterministic reports whether the output must be the same, byte for byte, from run to run. A real broker would drop records
// as old as fixedStart.
func (d *demo) deterministic() bool { return d.opts.Once && d.opts.JSON && d.opts.Kafka == "" }

// play runs the engine and the producer concurrently, and prints the summary at the end.
func (d *demo) play(ctx context.Context) error {
	level := slog.LevelWarn
	log := slog.New(slog.NewTextHandler(d.opts.Err, &slog.HandlerOptions{Level: level}))
	p, err := pipeline.New(d.cfg, pipeline.Options{Log: log, Version: d.opts.Version, Committed: func(entries []connectors.Entry) {
		for _, e := range entries {
			d.show.finding(e)
		}
	}})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ended <- p.Run(run)
	}()

	began := time.Now()
	start := began
	switch {
	case d.deterministic():
		start = fixedStart
	case d.opts.Once:
		start = began.Add(-length) // the whole story is in the past
	}
	lines := story(start)
	d.show.begin(d, lines, began, func() (api.Status, float64) { return p.Status(), p.Total("aidr_events_total") })
	if err := d.showLink(p, over); err != nil {
		stop()
		return errors.Join(err, <-ended)
	}
	err = produce(run, d.broker, lines, start, d.opts.Once)
	if err == nil && ctx.Err() == nil {
		d.drain(run, p, len(lines))
	}
	d.show.end()
	s := d.show.summary(len(lines), int(p.Total("aidr_events_total")), d.receiver.counts())
	if d.opts.State != "" || !d.opts.JSON {
		s.State = d.cfg.State.Dir
	}
	if took := time.Since(began).Seconds(); !d.deterministic() {
		s.Seconds = &took
	}
	stays := ctx.Err() == nil && (d.engine != nil && !d.opts.Once || d.opts.Stay)
	if !stays {
		stop()
		err = errors.Join(err, <-ended)
	}
	if d.engine != nil {
		n, countErr := countFindings(d.engine)
		err = errors.Join(err, countErr)
		s.ClickHouse = &n
	}
	d.show.last(s, d)
	if stays {
		if d.opts.Stay {
			err = errors.Join(err, d.serveCalls(ctx, p))
		}
		<-ctx.Done() // keeps the console, and ClickHouse, running
		stop()
		err = errors.Join(err, <-ended)
	}
	return err
}

// showLink prints a link to the console once it is served, unless the pipeline is over before.
func (d *demo) showLink(p *pipeline.Pipeline, over <-chan struct{}) error {
	if d.opts.Console == "" {
		return nil
	}
	for {
		link, err := p.ConsoleLink(access.Caller{Name: fmt.Sprintf("uid %d", os.Getuid()), Scopes: access.All()})
		if err == nil {
			d.show.console(link)
			return nil
		}
		if !errors.Is(err, api.ErrNoConsole) {
			return err
		}
		select {
		case <-over:
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// drain waits until all records are read and evaluated and all findings are delivered, but at most drainTime.
func (d *demo) drain(ctx context.Context, p *pipeline.Pipeline, records int) {
	deadline, changed, last, checkpointed := time.Now().Add(drainTime), time.Now(), "", false
	for time.Now().Before(deadline) && ctx.Err() == nil {
		status := p.Status()
		waiting := uint64(0)
		for _, s := range status.Sinks {
			waiting += s.Entries
		}
		read := int(p.Total("aidr_source_records_total"))
		progress := fmt.Sprint(status.Entries, d.receiver.counts(), read)
		if !checkpointed && read >= records {
			// Even on a busy machine, all records are evaluated and their findings are in the outbox after the checkpoint.
			checkpointed = p.Checkpoint(ctx) == nil
		}
		if progress != last || waiting > 0 || !checkpointed {
			last, changed = progress, time.Now()
		}
		if time.Since(changed) > quietTime {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
