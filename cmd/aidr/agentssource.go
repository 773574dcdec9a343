package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing/fstest"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/agents"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// observedHelp documents the sources of learn and diff.
const observedHelp = `What was observed comes from one of four places:
  FILE...           log files, which are replayed without rules (gzip, zstd, directories and "-" too)
  --inventory FILE  an export of the inventory, as aidr replay --inventory writes it ("-" is standard input)
  --clickhouse      the ClickHouse of --config, which keeps no last time of a value: that of its agent takes its place
  otherwise         the running process of --config or --state, or its state directory if none runs`

// observedFlags determine the inventory that a command reads.
type observedFlags struct {
	from             reading
	state, inventory string
	clickhouse       bool
	registry         string
	days             int
	all              bool
}

func (o *observedFlags) flags(c *cobra.Command) {
	o.from.flags(c)
	f := c.Flags()
	f.Lookup("config").Usage = "configuration of the process, or that determines how the files are read"
	f.StringVar(&o.state, "state", "", "state directory (default: that of --config, or ./state)")
	f.StringVar(&o.inventory, "inventory", "", "file with an export of the inventory, - for standard input")
	f.BoolVar(&o.clickhouse, "clickhouse", false, "read the inventory from the ClickHouse of --config")
	f.IntVar(&o.days, "days", 14, "leave out what was last seen more days before the latest event (0: nothing)")
	f.BoolVar(&o.all, "all", false, "also agents that only audit trails show, which are mostly people and services")
	c.MarkFlagsMutuallyExclusive("inventory", "state", "clickhouse")
}

// maxDays is the largest --days: ten years.
const maxDays = 3650

// within returns --days.
func (o *observedFlags) within() (time.Duration, error) {
	if o.days < 0 || o.days > maxDays {
		return 0, usage("--days %d: give 0 to %d", o.days, maxDays)
	}
	return time.Duration(o.days) * 24 * time.Hour, nil
}

// load reads the configuration, if --config is given.
func (o *observedFlags) load(cmd *cobra.Command, files []string) error {
	if len(files) > 0 {
		if o.inventory != "" || o.state != "" || o.clickhouse {
			return usage("FILE cannot be combined with --inventory, --clickhouse or --state: the files are the source")
		}
		return o.from.load(cmd)
	}
	o.from.cfg = &config.Config{}
	if o.from.config == "" {
		return nil
	}
	cfg, problems := config.LoadReading(o.from.config)
	if cfg == nil {
		printConfigProblems(cmd.ErrOrStderr(), problems)
		return &exit{exitFailed, errors.New("cannot load the configuration: see above")}
	}
	o.from.cfg = cfg
	return nil
}

// read reads the inventory. registry is the file whose aliases a replay applies, or "".
func (o *observedFlags) read(cmd *cobra.Command, files []string, registry string) (out *agents.Observed, err error) {
	out = &agents.Observed{}
	switch {
	case len(files) > 0:
		err = o.replay(cmd, files, registry, out)
	case o.inventory != "":
		err = o.export(cmd, out)
	case o.clickhouse:
		err = o.fromClickHouse(cmd, out)
	default:
		err = o.process(cmd, out)
	}
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	return out, nil
}

// export reads a file that aidr replay --inventory wrote.
func (o *observedFlags) export(cmd *cobra.Command, out *agents.Observed) error {
	in := cmd.InOrStdin()
	if o.inventory != "-" {
		f, err := os.Open(o.inventory)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return inventory.ReadLines(in, func(l *inventory.Line) bool {
		if l.Agent != nil {
			out.AddAgent(l.Agent)
		}
		if l.Credential != nil {
			out.AddCredential(l.Credential)
		}
		return true
	})
}

// process reads the inventory of the running process, or of its state directory.
func (o *observedFlags) process(cmd *cobra.Command, out *agents.Observed) error {
	w := stateFlags{config: o.from.config, state: o.state}
	return w.with(func(ctx context.Context, _ *cobra.Command, c *api.Client, _ []string) error {
		return cmp.Or(rows(ctx, c, "agents", out.AddAgent), rows(ctx, c, "credentials", out.AddCredential), ctx.Err())
	})(cmd, nil)
}

// rows calls add with each row of a list of the inventory.
func rows[T any](ctx context.Context, c *api.Client, list string, add func(*T)) error {
	var bad error
	err := c.Lines(ctx, "/v1/inventory/"+list, url.Values{"limit": {"0"}}, func(line []byte) bool {
		row := new(T)
		if bad = json.Unmarshal(line, row); bad == nil {
			add(row)
		}
		return bad == nil
	})
	return cmp.Or(err, bad)
}

// noRules is a folder of rules of which none is active: a replay with it makes an inventory and nothing else.
func noRules() fs.FS {
	const disabled = "id: none\ntitle: None\nseverity: info\nstatus: disabled\nwhen: \"false\"\n"
	return fstest.MapFS{"none.yaml": {Data: []byte(disabled)}}
}

// replay makes an inventory of log files.
func (o *observedFlags) replay(cmd *cobra.Command, files []string, registry string, out *agents.Observed) error {
	set, problems := rules.LoadFS(rules.Options{Agents: registry}, noRules(), "no rules")
	if set == nil { // the registry has changed since it was read
		printProblems(cmd.ErrOrStderr(), problems)
		return errors.New("cannot load the registry: see above")
	}
	in, err := o.from.input(cmd)
	if err != nil {
		return err
	}
	if in.Source, err = file.New(file.Config{Name: "replay", Paths: files, Stdin: cmd.InOrStdin()}); err != nil {
		return &exit{exitUsage, err}
	}
	opts := engine.Options{Set: set, Inputs: []engine.Input{in}, Redact: content.Redact, Redaction: o.from.cfg.Redact, Inventory: true}
	_, inv, err := engine.ReplayInventory(cmd.Context(), opts, 0)
	if err = cmp.Or(err, cmd.Context().Err()); err != nil {
		return err
	}
	err = inv.Entities(inventory.Agent, func(e *inventory.Entity) bool { out.AddAgent(inventory.AgentOf(e)); return true })
	return cmp.Or(err, inv.Entities(inventory.Credential, func(e *inventory.Entity) bool {
		out.AddCredential(inventory.CredentialOf(e))
		return true
	}))
}

// calls returns the function that reports whether a dataset shows calls of agents: whether it is of a gateway or a model.
func (o *observedFlags) calls(cmd *cobra.Command) (func(dataset string) bool, error) {
	if o.all {
		return func(string) bool { return true }, nil
	}
	set, err := o.from.fieldMaps(cmd)
	if err != nil {
		return nil, err
	}
	return callsOf(set), nil
}

func callsOf(set *maps.Set) func(dataset string) bool {
	families := decode.Families(set.Maps()...)
	return func(dataset string) bool {
		return slices.Contains(families[formats.FamilyLLM], dataset) || slices.Contains(families[formats.FamilyGateway], dataset)
	}
}

// registryFile returns the file of the registry: that of --registry, else that of the configuration, else agents.yaml in one
// of its folders of rules, or "" if no folder has one.
func (o *observedFlags) registryFile() string {
	if file := cmp.Or(o.registry, o.from.cfg.Agents); file != "" {
		return file
	}
	for _, dir := range o.from.cfg.Rules {
		if file := filepath.Join(dir, rules.AgentsFile); isFile(file) {
			return file
		}
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// parseRegistry reads a registry and prints its problems, of which it returns the number.
func parseRegistry(cmd *cobra.Command, file string) (*site.Agents, int, error) {
	text, err := doc.ReadFile(os.DirFS(filepath.Dir(file)), filepath.Base(file), doc.MaxListSize)
	if err != nil {
		return nil, 0, fmt.Errorf("read the registry %s: %w", file, err)
	}
	registry, problems := site.ParseAgents(file, text)
	for _, p := range problems {
		printProblem(cmd.ErrOrStderr(), p.Warning, p.String(), p.Snippet)
	}
	if registry == nil {
		return nil, 0, &exit{exitFailed, errors.New("cannot load the registry: see above")}
	}
	return registry, len(problems), nil
}
