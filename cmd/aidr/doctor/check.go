package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
)

// Result is the outcome of a check.
type Result string

// The results.
const (
	OK   Result = "ok"
	Warn Result = "warn" // it works, and something is to be looked into
	Fail Result = "fail" // records or findings do not get through
)

// Check is one thing that was checked. Its JSON names are a contract.
type Check struct {
	Area    string `json:"area"` // configuration, rules, source.NAME, sink.NAME, clock, disk, state, process
	Subject string `json:"subject,omitempty"`
	Result  Result `json:"result"`
	Text    string `json:"text"`         // may hold text of the other side; no secret
	Do      string `json:"do,omitempty"` // what to do, unless the result is ok
}

// Options are for Examine.
type Options struct {
	File    string // configuration
	Offline bool   // connect to nothing
	Dial    func(dir string) (*api.Client, error)
}

// Examination is what Examine found.
type Examination struct {
	Checks []Check
	Config *config.Config // nil if the file cannot be read as YAML
	Usable bool           // whether aidr run would accept Config
	Status *api.Status    // of the running process; nil if there is none
}

// Worst returns the worst result.
func (x *Examination) Worst() Result {
	worst := OK
	for _, c := range x.Checks {
		if c.Result == Fail || c.Result == Warn && worst == OK {
			worst = c.Result
		}
	}
	return worst
}

func (x *Examination) add(result Result, area, subject, text, do string) {
	x.Checks = append(x.Checks, Check{area, subject, result, text, do})
}

// Examine checks everything, in the order in which things depend on each other.
func Examine(ctx context.Context, o Options) *Examination {
	x := &Examination{}
	x.configuration(o.File)
	x.clock()
	if x.Config == nil {
		return x
	}
	x.disk(x.Config)
	x.process(ctx, o)
	switch {
	case o.Offline:
	case !x.Usable:
		x.add(Warn, "connections", "", "nothing was connected to, because the configuration has errors", "mend the errors above and run aidr doctor again")
	default:
		x.connections(ctx)
	}
	return x
}

// configuration checks the file, its rules, maps, registry, filters, certificates and the rights on the state directory.
func (x *Examination) configuration(file string) {
	cfg, problems, failed := config.Examine(file)
	x.Config = cfg
	for _, p := range problems {
		x.problem("configuration", p.String(), p.Warning)
	}
	if cfg == nil {
		return
	}
	more, err := pipeline.Check(cfg)
	for _, p := range more {
		x.problem("rules", p.String(), p.Warning)
	}
	for _, line := range pipeline.Lines(err) {
		x.add(Fail, "configuration", "", line, "mend it; aidr config keys describes every key")
		failed = true
	}
	if x.Usable = !failed && x.Worst() != Fail; x.Usable {
		x.add(OK, "configuration", "", fmt.Sprintf("%s: %d sources, %d sinks", file, len(cfg.Sources), sinksOf(cfg)), "")
		x.idleRules()
	}
}

// sinksOf returns the number of sinks.
func sinksOf(cfg *config.Config) int {
	n := len(cfg.Sinks.Webhooks)
	if cfg.Sinks.ClickHouse != nil {
		n++
	}
	if cfg.Sinks.Kafka != nil {
		n++
	}
	return n
}

func (x *Examination) problem(area, text string, warning bool) {
	result := Fail
	if warning {
		result = Warn
	}
	x.add(result, area, "", text, "mend that line; aidr config keys and aidr rules check describe what is allowed")
}

// idleRules names the rules that can find nothing with the sources, registry and lists of the configuration.
func (x *Examination) idleRules() {
	idle, err := pipeline.IdleRules(x.Config)
	if err != nil {
		return // Check has reported the reason
	}
	n := 0
	for _, g := range idle {
		n += len(g.Rules)
		x.add(Warn, "rules", fmt.Sprintf("%d without data", len(g.Rules)), g.Reason+": "+strings.Join(g.Rules, ", "), g.Remedy)
	}
	if n == 0 {
		x.add(OK, "rules", "", "every rule has data", "")
	}
}

// connections tries the outside systems.
func (x *Examination) connections(ctx context.Context) {
	answers, err := pipeline.Connect(ctx, x.Config)
	for _, line := range pipeline.Lines(err) {
		x.add(Fail, "connections", "", line, "mend it in the configuration")
	}
	for _, a := range answers {
		result, do := OK, ""
		switch {
		case a.Failed:
			result = Fail
		case a.Warning:
			result = Warn
		}
		if result != OK {
			do = adviceFor(a)
		}
		x.add(result, a.Component, a.Subject, a.Text, do)
	}
}

// adviceFor returns what to do about an answer. Most texts end with it already; this adds what is known by the subject.
func adviceFor(a pipeline.Answer) string {
	kind, _, _ := strings.Cut(a.Subject, " ")
	switch {
	case kind == "clock":
		return "run an NTP client, such as chrony, on both machines"
	case kind == "broker":
		return "compare kafka.brokers, tls and sasl with the listeners of the broker, and try the port from this machine"
	case kind == "topic", kind == "topics":
		return "create the topic, mend kafka.topics, or grant Read and Describe on it to this client"
	case kind == "group":
		return "grant Read on the group to this client, or name another group in kafka.group"
	case kind == "timestamps":
		return "set message.timestamp.type=LogAppendTime on the topics"
	case kind == "rights":
		return "run the statements of aidr migrate --grants as an administrator"
	case a.Component == "sink.clickhouse":
		return "compare sinks.clickhouse.dsn with the server; aidr migrate --status shows the schema"
	case strings.HasPrefix(a.Component, "sink."):
		return "try it with aidr webhook test " + strings.TrimPrefix(a.Component, "sink.") + ", and look at the log of the receiver"
	}
	return "look at the log of the other side"
}

// process reports the health of the process that has the state directory open.
func (x *Examination) process(ctx context.Context, o Options) {
	if o.Dial == nil {
		return
	}
	if _, err := os.Stat(x.Config.State.Dir); errors.Is(err, fs.ErrNotExist) {
		x.add(OK, "state", "", x.Config.State.Dir+" does not exist yet: aidr run makes it", "")
		return
	}
	c, err := o.Dial(x.Config.State.Dir)
	if err != nil {
		x.add(Warn, "process", "", "nothing can be asked: "+err.Error(), "start aidr run; if it runs already, let the same user run aidr doctor")
		return
	}
	defer c.Close()
	if loss := c.Loss(); loss != nil {
		x.add(Fail, "state", "", loss.Error(), "aidr state verify and aidr state restore get a backup back")
	}
	var s api.Status
	if err := c.Do(ctx, "GET", "/v1/status", nil, &s); err != nil {
		x.add(Fail, "process", "", err.Error(), "look at the log of aidr run")
		return
	}
	x.Status = &s
	if !s.Running {
		x.add(Warn, "process", "", "no aidr has the state directory open", "start aidr run; a standby shows its state on /readyz of http.listen")
		return
	}
	x.add(resultOf(s.Status), "process", "", fmt.Sprintf("%s, running since %s", s.Status, s.Since.Format(time.RFC3339)), doUnlessOK(s.Status))
	for _, name := range sortedNames(s.Components) {
		if k := s.Components[name]; k.Status != api.OK {
			x.add(resultOf(k.Status), name, "", k.Reason, "the runbook of the component is in cmd/aidr/deploy/runbooks.md")
		}
	}
	for _, f := range s.Operational {
		x.add(Warn, "process", f.Rule, f.Summary, "aidr findings show "+f.ID.String())
	}
	if n := s.DeadLetters; n > 0 {
		x.add(Warn, "process", "dead letters", fmt.Sprintf("%d wait, %d of them rows and deliveries", n, s.DeadDeliveries), "aidr dlq ls, then aidr dlq replay or drop")
	}
	if len(s.Restart) > 0 {
		x.add(Warn, "process", "configuration", "changed keys wait for a restart: "+strings.Join(s.Restart, ", "), "restart aidr run")
	}
}

func resultOf(status string) Result {
	switch status {
	case api.OK:
		return OK
	case api.Degraded:
		return Warn
	}
	return Fail
}

func doUnlessOK(status string) string {
	if status == api.OK {
		return ""
	}
	return "see the components below and aidr status"
}

// String returns the check on one line.
func (c Check) String() string {
	subject := c.Area
	if c.Subject != "" {
		subject += " " + c.Subject
	}
	line := fmt.Sprintf("%-4s  %s: %s", c.Result, subject, cmp.Or(c.Text, "-"))
	if c.Do != "" {
		line += ": " + c.Do
	}
	return strings.Join(strings.Split(line, "\n"), "; ")
}
