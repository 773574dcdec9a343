// Package demo plays a story in one process: a Kafka broker, a producer, the engine with the shipped rules, a local
// store, and a receiver of webhooks that checks signatures. It needs nothing to be installed and asks nothing.
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
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

const (
	// calmTime is how long the engine may take after the last record until everything is found and delivered.
	calmTime = 30 * time.Second
	// calmFor is how long nothing must change for it to be over.
	calmFor = 700 * time.Millisecond
)

// Options of the demo.
type Options struct {
	Once       bool       // play the story as fast as it goes, then end
	JSON       bool       // print one summary as JSON instead of what happens
	Kafka      string     // host:port of a real broker; "": one in this process
	ClickHouse string     // DSN of a server; "local": the engine in a child process, which must be installed; "": none
	State      string     // folder of all that the demo leaves; "": a temporary one, which is kept
	Terminal   bool       // Out is a terminal
	Width      func() int // its columns
	Out        io.Writer
	Err        io.Writer
	Version    string
}

// Run plays the story.
func Run(ctx context.Context, o Options) (err error) {
	d := &demo{o: o, show: newDisplay(o)}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.play(ctx)
}

type demo struct {
	o        Options
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

// prepare brings up everything around the engine.
func (d *demo) prepare(ctx context.Context) error {
	if err := d.folder(); err != nil {
		return err
	}
	d.broker = d.o.Kafka
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
	r, err := startReceiver(d.show.delivered)
	if err != nil {
		return err
	}
	d.receiver = r
	d.closers = append(d.closers, r.close)
	if d.o.ClickHouse == "local" {
		e, err := host.Start(ctx, host.Options{Dir: filepath.Join(d.state, "clickhouse"), HTTP: true})
		if err != nil {
			return fmt.Errorf("start the ClickHouse engine: %w", err)
		}
		d.engine = e
		d.closers = append(d.closers, e.Stop)
		d.o.ClickHouse = e.DSN
	}
	d.cfg = d.config()
	return nil
}

// folder makes the state directory and the story's registry of agents in it.
func (d *demo) folder() (err error) {
	if d.state = d.o.State; d.state == "" {
		if d.state, err = os.MkdirTemp("", "aidr-demo-"); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.state, "agents.yaml"), []byte(agents), 0o600)
}

func (d *demo) config() *config.Config {
	c := &config.Config{
		File: "demo", Agents: filepath.Join(d.state, "agents.yaml"),
		Sources: []config.Source{{
			Name: "demo", Format: "auto",
			Kafka: &config.Kafka{Brokers: []string{d.broker}, Topics: []string{topicLLM, topicGateway, topicCloud}, Group: "aidr-demo", Start: "first"},
		}},
		State: config.State{Dir: filepath.Join(d.state, "state")},
		HTTP:  config.HTTP{Listen: "127.0.0.1:0"},
	}
	c.Sinks.Webhooks = []config.Webhook{{
		Name: "soc", URL: d.receiver.url, Secrets: []string{d.receiver.secret}, AllowNetworks: []string{"127.0.0.0/8"},
	}}
	if d.o.ClickHouse != "" {
		c.Sinks.ClickHouse = &config.ClickHouse{DSN: d.o.ClickHouse, Migrate: true}
	}
	return c
}

// play runs the engine and the producer side by side, and tells what happened at the end.
func (d *demo) play(ctx context.Context) error {
	level := slog.LevelWarn
	log := slog.New(slog.NewTextHandler(d.o.Err, &slog.HandlerOptions{Level: level}))
	p, err := pipeline.New(d.cfg, pipeline.Options{Log: log, Version: d.o.Version, Committed: func(entries []connectors.Entry) {
		for _, e := range entries {
			d.show.found(e)
		}
	}})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(run) }()

	began := time.Now()
	start := began
	if d.o.Once {
		start = began.Add(-length) // it all has happened already
	}
	lines := story(start)
	d.show.begin(d, lines, began, func() (api.Status, float64) { return p.Status(), p.Total("aidr_events_total") })
	err = produce(run, d.broker, lines, start, d.o.Once)
	if err == nil && ctx.Err() == nil {
		d.calm(run, p, len(lines))
	}
	d.show.end()
	s := d.show.summary(len(lines), int(p.Total("aidr_events_total")), time.Since(began), d.receiver.counts(), d.cfg.State.Dir)
	if d.o.Once || ctx.Err() != nil || d.engine == nil {
		stop()
		err = errors.Join(err, <-ended)
	}
	if d.engine != nil {
		n, cerr := countFindings(d.engine)
		err = errors.Join(err, cerr)
		s.ClickHouse = &n
	}
	d.show.last(s, d)
	if d.engine != nil && !d.o.Once && ctx.Err() == nil {
		<-ctx.Done() // so that ClickHouse can be asked
		stop()
		err = errors.Join(err, <-ended)
	}
	return err
}

// calm waits until everything that was produced is read, found and delivered.
func (d *demo) calm(ctx context.Context, p *pipeline.Pipeline, records int) {
	deadline, quiet, last, cut := time.Now().Add(calmTime), time.Now(), "", false
	for time.Now().Before(deadline) && ctx.Err() == nil {
		st := p.Status()
		waiting := uint64(0)
		for _, s := range st.Sinks {
			waiting += s.Entries
		}
		read := int(p.Total("aidr_source_records_total"))
		now := fmt.Sprint(st.Entries, d.receiver.counts(), read)
		if !cut && read >= records {
			cut = p.Checkpoint(ctx) == nil // all that was read is judged and in the outbox, however busy the machine is
		}
		if now != last || waiting > 0 || !cut {
			last, quiet = now, time.Now()
		}
		if time.Since(quiet) > calmFor {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
