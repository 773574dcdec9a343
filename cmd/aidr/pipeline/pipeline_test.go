package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// contract lists the metrics that users rely on, with their labels sorted by name.
var contract = []string{
	"aidr_source_records_total{partition,source,topic}", "aidr_source_lag_records{partition,source,topic}", "aidr_events_total{dataset}",
	"aidr_dead_letters_total{kind,reason}", "aidr_late_events_total{dataset,why}", "aidr_rule_late_items_total{dataset,rule}",
	"aidr_findings_total{rule,severity,status}", "aidr_watermark_seconds{partition,source,topic}", "aidr_rule_watermark_seconds{rule}",
	"aidr_watermark_timestamp_seconds{partition,source,topic}", "aidr_rule_watermark_timestamp_seconds{rule}",
	"aidr_build_info{go_version,version}", "aidr_finding_delivery_seconds_bucket{sink,le}", "aidr_sink_write_seconds_bucket{sink,le}",
	"aidr_webhook_attempts_total{sink,status}", "aidr_webhook_attempt_seconds_bucket{sink,le}", "aidr_dead_letters_waiting{share}",
	"aidr_field_errors_total{dataset,field}", "aidr_outbox_entries{sink}", "aidr_outbox_oldest_seconds{sink}",
	"aidr_deliveries_total{result,sink}", "aidr_checkpoint_seconds_bucket{le}", "aidr_rules_reloads_total{result}",
}

// TestKafkaToWebhook runs the whole way from a topic to a receiver that checks signatures, and checks the metrics, the
// health and the control API on the way. Then it runs a second process on the same state directory.
func TestKafkaToWebhook(t *testing.T) {
	t.Parallel()
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 2)
	e, dir := newEndpoint(t), t.TempDir()
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak, "thrice.yaml": thrice}), e, dir)
	x := start(t, cfg)
	var looks []string // a partition has no watermark before its eighth record
	for n := range 6 {
		looks = append(looks, event(90+n, "look", "b"))
	}
	for partition := range 2 {
		conntest.Produce(t, broker.Addr, "x", partition, conntest.Messages(looks...), nil)
		for n := range looks {
			looks[n] = event(80+n, "look", "b")
		}
	}
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(
		event(100, "leak", "a"), event(101, "try", "b"), event(102, "try", "b"), "nonsense",
		strings.Replace(event(103, "look", "b"), `"event.id":"e103"`, `"event.id":"e103","event.duration":"long"`, 1),
		event(3, "try", "b"), // below the watermark
	), nil)
	conntest.Produce(t, broker.Addr, "x", 1, conntest.Messages(event(104, "leak", "c"), event(105, "leak", "c")), nil)
	e.await(t, "test.leak a 1", "test.leak c 2")
	x.awaitStatus("engine", ok, "")
	if err := x.Reload(t.Context()); err != nil {
		t.Errorf("reload: %v", err)
	}
	wait(t, "the last checkpoint's watermark", func() bool {
		_, m := x.get("/metrics")
		return strings.Contains(m, "aidr_rule_watermark_seconds{")
	})
	checkMetrics(t, x)
	checkControl(t, dir)
	if code, body := x.get("/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: got %d %q", code, body)
	}
	if code, status, _ := x.ready("engine"); code != 200 || status != ok {
		t.Errorf("readyz: got %d %s: %+v", code, status, x.Status())
	}
	if code, _ := x.get("/debug/pprof/"); code != 404 {
		t.Errorf("profiles although they are not configured: got %d", code)
	}
	x.stop()
	if code, status, c := x.ready("engine"); code != 503 || status != down || c.Reason != "stopping" {
		t.Errorf("readyz after the end: got %d %s %+v", code, status, c)
	}
	if _, err := os.Stat(filepath.Join(dir, api.SocketName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is left: %v", err)
	}

	before := len(e.got)
	x = start(t, cfg)
	conntest.Produce(t, broker.Addr, "x", 1, conntest.Messages(event(106, "try", "b"), event(107, "leak", "d")), nil)
	e.await(t, "test.leak a 1", "test.leak c 2", "test.leak d 1", "test.thrice b 3")
	x.stop()
	if got := len(e.got) - before; got != 2 {
		t.Errorf("the second start delivered %d times, want 2: the first deliveries must not be repeated", got)
	}
}

func checkMetrics(t *testing.T, x *process) {
	t.Helper()
	_, text := x.get("/metrics")
	labels := regexp.MustCompile(`([a-z_]+)="`)
	have := map[string]bool{}
	for _, l := range strings.Split(text, "\n") {
		name, rest, found := strings.Cut(l, "{")
		if !found || strings.HasPrefix(l, "#") {
			continue
		}
		var names []string
		for _, m := range labels.FindAllStringSubmatch(rest, -1) {
			names = append(names, m[1])
		}
		have[name+"{"+strings.Join(names, ",")+"}"] = true
	}
	for _, want := range contract {
		if !have[want] {
			t.Errorf("missing metric %s", want)
		}
	}
	for _, want := range []string{
		`aidr_dead_letters_total{kind="record",reason="`, `aidr_events_total{dataset="x.test"} 19`,
		`aidr_late_events_total{dataset="x.test",why="late"} 1`,
		`aidr_rule_late_items_total{dataset="x.test",rule="test.thrice"} 1`,
		`aidr_findings_total{rule="test.leak",severity="high",status="open"} `,
		`aidr_field_errors_total{dataset="x.test",field="event.duration"} 1`,
		`aidr_source_lag_records{partition="0",source="logs",topic="x"} 0`,
		`aidr_source_records_total{partition="1",source="logs",topic="x"} 8`, `aidr_outbox_entries{sink="soc"} 0`,
		`aidr_deliveries_total{result="delivered",sink="soc"} `, `aidr_rules_reloads_total{result="ok"} 1`,
		`aidr_dead_letters_waiting{share="records"} 1`, `aidr_dead_letters_waiting{share="deliveries"} 0`,
		`aidr_webhook_attempts_total{sink="soc",status="2`, "aidr_config_last_reload_success 1\n", "aidr_rules_last_reload_success 1\n",
		"aidr_rules_last_reload_success_timestamp_seconds 1.", "aidr_checkpoint_last_timestamp_seconds 1.", "aidr_checkpoint_last_bytes ",
		"aidr_state_bytes ", "aidr_state_disk_free_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing in the metrics: %s", want)
		}
	}
}

// checkControl queries the process as the commands do.
func checkControl(t *testing.T, dir string) {
	t.Helper()
	c, err := api.Dial(dir, api.Runtime{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	var s api.Status
	if err := c.Do(ctx, "GET", "/v1/status", nil, &s); err != nil || !c.Running() || !s.Running || s.Rules != 2 || s.DeadLetters != 1 ||
		len(s.Partitions) != 2 || len(s.Sinks) != 1 || s.Sinks[0].State != "ok" || s.Version != "v0" {
		t.Errorf("status: got %+v, %v", s, err)
	}
	var rules []string
	if err := c.Lines(ctx, "/v1/findings", url.Values{"agent": {"a"}}, func(line []byte) bool {
		var f schema.Finding
		if json.Unmarshal(line, &f) == nil {
			rules = append(rules, f.RuleID)
		}
		return true
	}); err != nil || len(rules) != 1 || rules[0] != "test.leak" {
		t.Errorf("findings: got %v, %v", rules, err)
	}
	var v struct{ Pending int }
	key := url.Values{"rule": {"test.thrice"}, "key": {`{"ai_agent.uid":"b"}`}}
	if err := c.Do(ctx, "GET", "/v1/state", key, &v); err != nil || v.Pending != 2 {
		t.Errorf("state: got %+v, %v, want 2 pending", v, err)
	}
	err = c.Do(ctx, "GET", "/v1/state", url.Values{"rule": {"none"}}, &v)
	if err == nil || !strings.Contains(err.Error(), `rule "none" is not active`) {
		t.Errorf("state of an unknown rule: got %v", err)
	}
	if err := c.Do(ctx, "POST", "/v1/dead-letters/1/replay", nil, nil); err == nil || !strings.Contains(err.Error(), "still cannot be decoded") {
		t.Errorf("replay of nonsense: got %v", err)
	}
}

// TestStandby runs two processes on one state directory: one reads, and the other reports that it is a standby and resumes
// at the first one's checkpoint.
func TestStandby(t *testing.T) {
	t.Parallel()
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 2)
	e, dir := newEndpoint(t), t.TempDir()
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak, "thrice.yaml": thrice}), e, dir)
	first := start(t, cfg)
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(1, "leak", "a"), event(2, "try", "b"), event(3, "try", "b")), nil)
	e.await(t, "test.leak a 1")
	second := start(t, cfg)
	second.awaitStatus("engine", degraded, "standby: another member of consumer group \"g\" reads")
	if code, status, _ := second.ready("engine"); code != 200 || status != degraded {
		t.Errorf("readyz of the standby: got %d %s", code, status)
	}
	first.awaitStatus("engine", ok, "")
	conntest.Produce(t, broker.Addr, "x", 1, conntest.Messages(event(4, "leak", "c")), nil)
	e.await(t, "test.leak a 1", "test.leak c 1")
	first.stop()
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(5, "try", "b"), event(6, "leak", "d")), nil)
	e.await(t, "test.leak a 1", "test.leak c 1", "test.leak d 1", "test.thrice b 3")
	second.awaitStatus("engine", ok, "")
	second.stop()
	if got := len(e.got); got != 4 {
		t.Errorf("got %d deliveries, want 4: each once", got)
	}
}

// TestFilesEndByThemselves checks that Run delivers everything and returns once all files are read.
func TestFilesEndByThemselves(t *testing.T) {
	t.Parallel()
	var lines []string
	for n := range 500 {
		lines = append(lines, event(n, "leak", fmt.Sprintf("agent-%d", n%20)))
	}
	e := newEndpoint(t)
	cfg := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), e, false,
		folder(t, map[string]string{"1.jsonl": strings.Join(lines[:250], "\n"), "2.jsonl": strings.Join(lines[250:], "\n") + "\n"}))
	x := start(t, cfg)
	if err := x.end(); err != nil {
		t.Errorf("run: %v", err)
	}
	var want []string
	for n := range 20 {
		want = append(want, fmt.Sprintf("test.leak agent-%d 25", n))
	}
	wait(t, "the receiver", func() bool { return len(e.seen()) == len(want) })
	s, err := store.Open(cfg.State.Dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if w, err := s.Waiting("soc"); err != nil || w.Entries-uint64(retries(t, s)) != 0 {
		t.Errorf("undelivered: got %+v, %v", w, err)
	}
	n := 0
	if err := s.Findings(store.FindingFilter{}, func(f *schema.Finding) bool { n += int(f.Count); return true }); err != nil || n != 500 {
		t.Errorf("findings count %d events, %v, want 500", n, err)
	}
}

// retries returns the number of entries that wait for their time, because updates are sent at most once a minute.
func retries(t *testing.T, s *store.Store) int {
	t.Helper()
	k, _ := s.Sink("soc")
	return len(k.Retries)
}

// TestStateDirectoryIsTaken checks a process whose state directory is open elsewhere: it waits, /readyz gives the reason
// at once, it can be stopped, and it continues once the directory is free.
func TestStateDirectoryIsTaken(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	input := folder(t, map[string]string{"x": event(1, "leak", "a")})
	cfg := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), e, false, filepath.Join(input, "x"))
	s, err := store.Open(cfg.State.Dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, cfg)
	x.awaitStatus("engine", down, "another process has it open")
	if code, _, _ := x.ready("engine"); code != 503 {
		t.Errorf("readyz: got %d, want 503", code)
	}
	x.stop()
	x = start(t, cfg)
	x.awaitStatus("engine", down, "another process has it open")
	if err := x.Reload(t.Context()); err != nil {
		t.Errorf("reload while it waits: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	e.await(t, "test.leak a 1")
	if err := x.end(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestReadyWhileDraining stops a process while a receiver delays its answer. /readyz, /metrics and the control API answer
// until the end, and the delayed entry is delivered.
func TestReadyWhileDraining(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.hold = make(chan struct{})
	input := folder(t, map[string]string{"x": event(1, "leak", "a") + "\n"})
	cfg := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), e, true, filepath.Join(input, "x"))
	x := start(t, cfg)
	wait(t, "a delivery under way", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.held > 0 })
	x.cancel()
	x.awaitStatus("engine", down, "stopping")
	if _, text := x.get("/metrics"); !strings.Contains(text, `aidr_outbox_entries{sink="soc"} 1`) {
		t.Error("the metrics of the outbox are missing while it drains")
	}
	c, err := api.Dial(cfg.State.Dir, api.Runtime{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var s api.Status
	if err := c.Do(t.Context(), "GET", "/v1/status", nil, &s); err != nil || s.Status != down {
		t.Errorf("status: got %+v, %v", s, err)
	}
	select {
	case err := <-x.ended:
		t.Fatalf("run ended before the receiver answered: %v", err)
	default:
	}
	close(e.hold)
	if err := x.end(); err != nil {
		t.Errorf("run: %v", err)
	}
	e.await(t, "test.leak a 1")
}

// TestRunFails checks the errors of Run for a broken environment.
func TestRunFails(t *testing.T) {
	t.Parallel()
	rules := folder(t, map[string]string{"leak.yaml": leak})
	input := filepath.Join(folder(t, map[string]string{"x": event(1, "leak", "a")}), "x")
	f := func(want string, change func(*config.Config)) {
		t.Helper()
		cfg := fileConfig(t, rules, nil, false, input)
		change(cfg)
		x := start(t, cfg)
		if err := x.end(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	f("open the state directory", func(c *config.Config) { c.State.Dir = input })
	f("holds \"alien\" but no database", func(c *config.Config) {
		if err := os.Mkdir(filepath.Join(c.State.Dir, "store"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(c.State.Dir, "store", "alien"), "x")
	})
	f("no such file", func(c *config.Config) { c.Sources[0].File.Paths = []string{input + "-none"} })
	f("too long for a unix socket", func(c *config.Config) {
		c.State.Dir = filepath.Join(c.State.Dir, strings.Repeat("x", 150))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f("http.listen", func(c *config.Config) { c.HTTP.Listen = l.Addr().String() })
}

// TestNewReportsEveryProblem checks that New returns all problems at once, with their positions and without secrets.
func TestNewReportsEveryProblem(t *testing.T) {
	rules := folder(t, map[string]string{"bad.yaml": "id: x\n", "leak.yaml": leak})
	cfg, problems := config.Parse("aidr.yaml", []byte(`
sources:
  - name: a
    kafka: {brokers: [nowhere], topics: [t]}
  - name: b
    file: {paths: [x]}
rules: [`+rules+`]
sinks:
  clickhouse: {dsn: "clickhouse://u:tell-nobody@h:9000/d!b"}
  webhooks: [{name: soc, url: "https://u:tell-nobody@h", secret: tell-nobody}]
`), os.LookupEnv)
	if cfg == nil {
		t.Fatal(problems)
	}
	_, err := New(cfg, Options{})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"bad.yaml:1:1: ", `aidr.yaml:3:5: source "a": `, "aidr.yaml:9:15: sinks.clickhouse: ", `aidr.yaml:10:14: sinks.webhooks "soc": `,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	ruleProblems, other := Check(cfg)
	if len(ruleProblems) == 0 || other == nil {
		t.Errorf("check: got %v, %v", ruleProblems, other)
	}
	for _, err := range []error{err, other} {
		if strings.Contains(err.Error(), "tell-nobody") {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

func TestCheckEndpoints(t *testing.T) {
	e := newEndpoint(t)
	cfg := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak + "respond: [{notify: [soc]}, {notify: [nobody]}]\n"}), e, false, "x")
	problems, err := Check(cfg)
	var got []string
	for _, p := range problems {
		if p.Key == "respond.notify" {
			got = append(got, fmt.Sprint(p.Warning, " ", p.Cause))
		}
	}
	want := `true names the endpoint "nobody", which sinks.webhooks does not have: its findings are not sent there`
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// A webhook's filter sees the severity in its order, and the type of the entry.
func TestFilterOfAnEndpoint(t *testing.T) {
	cfg, problems := config.Parse("aidr.yaml", []byte(`
sources: [{file: {paths: [x]}}]
sinks:
  webhooks: [{name: soc, url: "https://soc.example", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,
    filter: 'severity >= "high" && type in ["finding.opened", "finding.settled"]'}]
`), os.LookupEnv)
	if cfg == nil {
		t.Fatal(problems)
	}
	s, err := BuildWebhook(cfg.Sinks.Webhooks[0], "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wants := s.Profile().Wants
	for _, severity := range schema.Severities() {
		for _, typ := range connectors.EntryTypes() {
			got := wants(connectors.Entry{Type: typ, Finding: &schema.Finding{Severity: severity}})
			want := severity.Rank() >= schema.SeverityHigh.Rank() && (typ == connectors.FindingOpened || typ == connectors.FindingSettled)
			if got != want {
				t.Errorf("%s, %s: got %t, want %t", severity, typ, got, want)
			}
		}
	}
}

func TestDatasetsOf(t *testing.T) {
	for format, want := range map[string]string{
		"auto": "[]", "aidr": "[]", "cloudtrail": "[aws.cloudtrail]", "aws_cloudtrail": "[aws.cloudtrail]",
		"aws.cloudtrail": "[aws.cloudtrail]", "kong": "[kong.http_log]",
	} {
		if got := fmt.Sprint(datasetsOf(format, nil)); got != want {
			t.Errorf("%s: got %s, want %s", format, got, want)
		}
	}
}

func TestWorse(t *testing.T) {
	for _, x := range [][3]string{{ok, ok, ok}, {ok, degraded, degraded}, {degraded, ok, degraded}, {degraded, down, down}, {down, ok, down}} {
		if got := worse(x[0], x[1]); got != x[2] {
			t.Errorf("%s, %s: got %s, want %s", x[0], x[1], got, x[2])
		}
	}
}

func TestHealthSince(t *testing.T) {
	var h health
	h.set(nil)
	first := h.since
	h.set(nil)
	if h.since != first || first.IsZero() {
		t.Errorf("since moved from %v to %v though nothing changed", first, h.since)
	}
	h.set(errors.New("x"))
	if h.since.Before(first) || h.err == nil {
		t.Errorf("got %+v", h)
	}
}
