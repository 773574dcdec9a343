package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

// settings are the settings of a setup. The defaults suit most tests.
type settings struct {
	broker  string
	topics  []string
	group   string
	dsn     string        // "": no ClickHouse
	idle    time.Duration // longer than any pause of the producer and any outage
	session time.Duration // of the consumer group
	rules   []string      // default: the shipped rules and those in testdata
	retries []string      // of the webhook
}

// setup is the environment of an aidr: a configuration like the one in the README, a receiver and a database.
type setup struct {
	settings
	t        testing.TB
	config   string
	state    string
	listen   string
	receiver *receiver
	db       *database // nil without ClickHouse
}

func newSetup(t testing.TB, s settings) *setup {
	t.Helper()
	dir, err := os.MkdirTemp("", "aidr-run-") // a short path, because the length of a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if s.rules == nil {
		s.rules = []string{library, filepath.Join("testdata", "rules")}
	}
	if s.group == "" {
		s.group = "aidr-" + filepath.Base(dir)
	}
	if s.retries == nil {
		s.retries = strings.Split(strings.Repeat("200ms ", 100)+"1s", " ")
	}
	u := &setup{
		settings: s, t: t, config: filepath.Join(dir, "aidr.yaml"), state: filepath.Join(dir, "state"),
		listen: freeAddr(t), receiver: startReceiver(t),
	}
	if s.dsn != "" {
		u.db = openDatabase(t, s.dsn)
	}
	if err := os.WriteFile(u.config, []byte(u.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	return u
}

// text returns the configuration.
func (u *setup) text() string {
	list := func(of []string) string {
		b, err := json.Marshal(of)
		if err != nil {
			u.t.Fatal(err)
		}
		return string(b)
	}
	clickhouse := ""
	if u.dsn != "" {
		clickhouse = fmt.Sprintf("clickhouse: {dsn: %q, linger: 100ms}", u.dsn)
	}
	return fmt.Sprintf(`sources:
  - name: logs
    kafka: {brokers: [%q], topics: %s, group: %q, start: first, session: %s}
    format: [auto, aidr]
    idle: %s
rules: %s
state: {dir: %q}
sinks:
  %s
  webhooks:
    - {name: soc, url: %q, secret: %q, allow_networks: ["127.0.0.0/8"], timeout: 5s, retries: %s}
http: {listen: %q}
log: {format: json}
`, u.broker, list(u.topics), u.group, max(u.session, 2*time.Second), u.idle, list(u.rules), u.state, clickhouse,
		u.receiver.url, u.receiver.secret, list(u.retries), u.listen)
}

func (u *setup) start() *process {
	u.t.Helper()
	return start(u.t, "run", "--config", u.config)
}

// status returns the status of the running process.
func (u *setup) status() (s api.Status, err error) {
	o := aidr(u.t, "status", "--json", "--state", u.state)
	if o.code != exitOK {
		return s, fmt.Errorf("aidr status: %s", o.stderr)
	}
	return s, json.Unmarshal([]byte(o.stdout), &s)
}

// readAll returns an error unless every record of the corpus was read.
func (u *setup) readAll(parts []partition) error {
	want := 0
	for _, p := range parts {
		want += len(p.records)
	}
	s, err := u.status()
	if err != nil {
		return err
	}
	got := 0
	for _, p := range s.Partitions {
		got += int(p.Next)
	}
	if got != want {
		return fmt.Errorf("%d of %d records are read: %+v", got, want, s)
	}
	return nil
}

// same returns an error unless the database and the receiver have exactly the wanted findings.
func (u *setup) same(want map[schema.ID]*schema.Finding) error {
	texts := byID(u.t, want)
	if u.db != nil {
		got, err := u.db.findings(u.t)
		if err == nil {
			err = difference(byID(u.t, got), texts)
		}
		if err != nil {
			return fmt.Errorf("v_findings: %w", err)
		}
		if err := u.sameEvents(want); err != nil {
			return err
		}
	}
	return u.sameDelivered(want)
}

// sameEvents returns an error unless v_finding_events has a row for each event of evidence.
func (u *setup) sameEvents(want map[schema.ID]*schema.Finding) error {
	got, err := u.db.events(u.t)
	if err != nil {
		return fmt.Errorf("v_finding_events: %w", err)
	}
	for id, f := range want {
		if got[id] != uint64(len(f.Evidence)) {
			return fmt.Errorf("v_finding_events: finding %s has %d rows, want %d", id, got[id], len(f.Evidence))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("v_finding_events: %d findings, want %d", len(got), len(want))
	}
	return nil
}

// sameDelivered compares the last bodies at the receiver. Findings over 20 KB are delivered without part of their evidence,
// so their evidence is not compared.
func (u *setup) sameDelivered(want map[schema.ID]*schema.Finding) error {
	whole, reduced := u.receiver.findings()
	texts := byID(u.t, want)
	got := byID(u.t, whole)
	for id, f := range reduced {
		w := want[id]
		if w == nil {
			return fmt.Errorf("receiver: finding %s of %s is not wanted", id, f.RuleID)
		}
		a, b := *f, *w
		a.Evidence, b.Evidence = nil, nil
		got[id], texts[id] = canonical(u.t, &a), canonical(u.t, &b)
	}
	if err := difference(got, texts); err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	return nil
}
