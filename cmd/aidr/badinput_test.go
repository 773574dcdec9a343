package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/store"
)

// bad is an unusual record, and the expected result of decoding it.
type bad struct {
	name   string
	body   []byte // nil: a tombstone
	reason string // reason of the dead letter; "": no dead letter
	index  int    // index of the element that becomes a dead letter
	events int    // number of events
}

// trail returns a CloudTrail record of one call, with extra inserted.
func trail(id, extra string) string {
	return fmt.Sprintf(`{"eventVersion":"1.09","eventTime":"2026-03-01T12:00:00Z","eventID":%q,`+
		`"eventSource":"s3.amazonaws.com","eventName":"GetObject",`+
		`"awsRegion":"eu-west-1","eventType":"AwsApiCall","recipientAccountId":"111122223333","sourceIPAddress":"203.0.113.9","userAgent":"x",`+
		`"userIdentity":{"type":"IAMUser","principalId":"P","accountId":"111122223333",`+
		`"arn":"arn:aws:iam::111122223333:user/eve","userName":"eve"}%s}`, id, extra)
}

// badRecords holds one record of each kind.
func badRecords() []bad {
	text := func(s string) []byte { return []byte(s) }
	return []bad{
		{"truncated", text(trail("t", "")[:100]), "malformed_json", 0, 0},
		{"no JSON", text("Mar  1 12:00:00 host sshd[1]: Accepted publickey"), "malformed_json", 0, 0},
		{"an element of 10 MB", text(trail("l", `,"requestParameters":{"key":"`+strings.Repeat("x", 10<<20)+`"}`)), "too_large", 0, 0},
		{"10,000 levels", text(trail("d", `,"requestParameters":`+
			strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000))), "too_deep", 0, 0},
		{"invalid UTF-8", text(strings.Replace(trail("u", ""), `,"eventSource"`, ",\xff\xfe"+`"eventSource"`, 1)), "invalid_utf8", 0, 0},
		{"an empty value", []byte{}, "empty", 0, 0},
		{"blanks", text(" \n\t "), "empty", 0, 0},
		{"an unknown format", text(`{"greeting":"hello","n":1}`), "unknown_format", 0, 0},
		{"a tombstone", nil, "", 0, 0},
		{"a key twice", text(trail("k", `,"eventName":"PutObject"`)), "", 0, 1},
		{"fields of impossible types", text(strings.Replace(trail("w", ""), `"203.0.113.9"`, `{"ip":17}`, 1)), "", 0, 1},
		{"one bad element of three", text(`{"Records":[` + trail("r1", "") + `,{"greeting":"hello"},` + trail("r3", "") + `]}`),
			"unknown_format", 1, 2},
	}
}

// testBadInput checks that records that cannot be decoded become dead letters with their position and reason, that field
// errors are counted, and that all other records are processed.
func testBadInput(t *testing.T, broker *conntest.Kafka) {
	conntest.CreateTopic(t, broker.Addr, "bad", 1, "max.message.bytes", strconv.Itoa(20<<20))
	conntest.CreateTopic(t, broker.Addr, "good", 1)
	u := newSetup(t, settings{broker: broker.Addr, topics: []string{"bad", "good"}, idle: 8 * time.Second, rules: []string{badRules(t)}})
	p := u.start()
	await(t, 30*time.Second, "ready", func() error { p.alive(); return isReady(u.listen) })
	tail := start(t, "findings", "tail", "--json", "--state", u.state)

	records, events := produceBad(t, newProducer(t, broker.Addr))
	await(t, time.Minute, "all records are read", func() error {
		p.alive()
		return metricIs(u.listen, float64(records), "aidr_source_records_total")
	})
	checkCounted(t, u, events)
	checkDeadLetters(t, u)
	checkRecords(t, u)
	await(t, 30*time.Second, "the findings are settled", func() error { p.alive(); return isSettled(u, 2) })
	checkState(t, u, events-2) // all but the event with another name and the event without an address
	await(t, 10*time.Second, "the tail shows findings", func() error {
		if text := tail.lastWords(); !strings.Contains(text, `"rule_id":"test.get"`) || !strings.Contains(text, `"rule_id":"test.put"`) {
			return fmt.Errorf("it printed %q", text)
		}
		return nil
	})
	testDeadDelivery(t, u, p, newProducer(t, broker.Addr))
	testClearState(t, u)
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	if got := deadLetters(t, u); len(got) == 0 {
		t.Error("the dead letters are gone after the end")
	}
	u.receiver.check(t)
}

// badRules holds rules that count the events of each action.
func badRules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, action := range map[string]string{"get": "s3:GetObject", "put": "s3:PutObject", "late": "s3:DeleteObject"} {
		rule := fmt.Sprintf("id: test.%s\ntitle: Somebody does %s\nseverity: high\nconfidence: 50\ndatasets: [aws.cloudtrail]\n"+
			"when: event.action == %q && has(source.ip)\ngroup: {for: 1h, by: [ai_agent.uid]}\n", name, action, action)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(rule), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// produceBad writes a good record before each bad record and at the end, and good records to another topic.
func produceBad(t *testing.T, p *producer) (records, events int) {
	t.Helper()
	var mixed, plain [][]byte
	for i, b := range badRecords() {
		mixed = append(mixed, []byte(trail(fmt.Sprintf("good-%d", i), "")), b.body)
		plain = append(plain, []byte(trail(fmt.Sprintf("plain-%d", i), "")))
		events += 2 + b.events
	}
	mixed = append(mixed, []byte(trail("good-last", "")))
	if err := p.produce("good", 0, plain...); err != nil { // first, because the topic must not be idle before it has them
		t.Fatal(err)
	}
	for _, body := range mixed { // one by one, because a batch of all would exceed the topic's size limit
		if err := p.produce("bad", 0, body); err != nil {
			t.Fatal(err)
		}
	}
	return len(mixed) + len(plain), events + 1
}

func checkCounted(t *testing.T, u *setup, events int) {
	t.Helper()
	reasons := map[string]int{}
	for _, b := range badRecords() {
		if b.reason != "" {
			reasons[b.reason]++
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	check(metricIs(u.listen, float64(events), "aidr_events_total", `dataset="aws.cloudtrail"`))
	check(metricIs(u.listen, 1, "aidr_source_tombstones_total", `topic="bad"`))
	check(metricIs(u.listen, 1, "aidr_field_errors_total", `dataset="aws.cloudtrail"`, `field="eventName"`))
	check(metricIs(u.listen, 1, "aidr_field_errors_total", `dataset="aws.cloudtrail"`, `field="source.ip"`))
	for reason, n := range reasons {
		check(metricIs(u.listen, float64(n), "aidr_dead_letters_total", `kind="record"`, fmt.Sprintf("reason=%q", reason)))
	}
	check(isReady(u.listen))
}

// deadLetter is a line of `aidr dlq ls --json`.
type deadLetter struct {
	Seq                       uint64
	Kind, Reason, Topic, Time string
	Partition                 int32
	Offset                    int64
	Index                     int
	Sink, Type, Detail, Body  string
}

func deadLetters(t testing.TB, u *setup, args ...string) []deadLetter {
	t.Helper()
	return jsonLines[deadLetter](t, mustAidr(t, append([]string{"dlq", "ls", "--json", "--state", u.state}, args...)...))
}

func checkDeadLetters(t *testing.T, u *setup) {
	t.Helper()
	got := map[int64]deadLetter{}
	var letters []deadLetter
	wanted := 0
	for _, b := range badRecords() {
		if b.reason != "" {
			wanted++
		}
	}
	await(t, 30*time.Second, "the dead letters are in a checkpoint", func() error {
		if letters = deadLetters(t, u); len(letters) < wanted {
			return fmt.Errorf("%d of %d are there", len(letters), wanted)
		}
		return nil
	})
	for _, l := range letters {
		got[l.Offset] = l
	}
	for i, b := range badRecords() {
		if b.reason == "" {
			continue
		}
		l := got[int64(2*i+1)]
		if l.Kind != "record" || l.Reason != b.reason || l.Topic != "bad" || l.Partition != 0 || l.Index != b.index || l.Time == "" {
			t.Errorf("%s at offset %d: got dead letter %+v, want reason %s", b.name, 2*i+1, l, b.reason)
		}
	}
	if len(letters) != wanted {
		t.Errorf("got %d dead letters, want %d", len(letters), wanted)
	}
}

// checkRecords shows one dead record, replays it without success, and drops it.
func checkRecords(t *testing.T, u *setup) {
	t.Helper()
	unknown := deadLetters(t, u, "--reason", "unknown_format")
	if len(unknown) != 2 {
		t.Fatalf("got %d dead letters of unknown formats, want 2", len(unknown))
	}
	number := strconv.FormatUint(unknown[0].Seq, 10)
	shown := jsonLines[deadLetter](t, mustAidr(t, "dlq", "show", "--json", "--state", u.state, number))
	if len(shown) != 1 || shown[0].Body != `{"greeting":"hello","n":1}` {
		t.Errorf("aidr dlq show: got %+v, want the body", shown)
	}
	if o := aidr(t, "dlq", "replay", "--state", u.state, number); o.code != exitFailed || !strings.Contains(o.stderr, "cannot be decoded") {
		t.Errorf("aidr dlq replay of a record that cannot be decoded: got %+v", o)
	}
	mustAidr(t, "dlq", "drop", "--state", u.state, number)
	if o := aidr(t, "dlq", "show", "--state", u.state, number); o.code != exitFailed {
		t.Errorf("aidr dlq show of one that was dropped: got %+v", o)
	}
}

// isSettled returns an error unless there are n findings and all are settled.
func isSettled(u *setup, n int) error {
	got := jsonLines[map[string]any](u.t, mustAidr(u.t, "findings", "ls", "--json", "--state", u.state))
	for _, f := range got {
		if f["status"] != "settled" {
			return fmt.Errorf("finding %v of %v is %v", f["id"], f["rule_id"], f["status"])
		}
	}
	if len(got) != n {
		return fmt.Errorf("got %d findings, want %d", len(got), n)
	}
	return nil
}

// checkState checks the State of the running process.
func checkState(t *testing.T, u *setup, gets int) {
	t.Helper()
	// The last value of a duplicate key counts. Of the record with an impossible type only that field is missing.
	for rule, want := range map[string]int{"test.put": 1, "test.get": gets} {
		got := jsonLines[map[string]any](t, mustAidr(t, "findings", "ls", "--json", "--rule", rule, "--state", u.state))
		if len(got) != 1 || fmt.Sprint(got[0]["count"]) != fmt.Sprint(want) {
			t.Errorf("%s: got findings %v, want one that stands on %d events", rule, got, want)
		}
	}
	s, err := u.status()
	if err != nil || !s.Running || s.Status != "ok" || len(s.Partitions) != 2 || len(s.Sinks) != 1 || s.DeadLetters == 0 {
		t.Errorf("aidr status: got %+v, %v", s, err)
	}
	for _, p := range s.Partitions {
		if p.Lag != 0 {
			t.Errorf("aidr status: %s/%d has a lag of %d, want 0", p.Topic, p.Number, p.Lag)
		}
	}
	o := aidr(t, "state", "get", "--rule", "nobody", "--key", "a=b", "--state", u.state)
	if o.code != exitFailed || !strings.Contains(o.stderr, "not active") {
		t.Errorf("aidr state get of an unknown rule: got %+v", o)
	}
}

// testDeadDelivery checks that a delivery which the endpoint rejects permanently becomes a dead letter that can be replayed.
func testDeadDelivery(t *testing.T, u *setup, p *process, k *producer) {
	t.Helper()
	u.receiver.answers.Store(422)
	now := time.Now().UTC().Format(time.RFC3339) // not late, because the partition follows the clock by now
	record := strings.NewReplacer("GetObject", "DeleteObject", "2026-03-01T12:00:00Z", now).Replace(trail("late", ""))
	if err := k.produce("good", 0, []byte(record)); err != nil {
		t.Fatal(err)
	}
	var letters []deadLetter
	await(t, 30*time.Second, "the delivery is a dead letter", func() error {
		p.alive()
		if letters = deadLetters(t, u, "--kind", "delivery"); len(letters) != 1 {
			return fmt.Errorf("got %+v", letters)
		}
		return nil
	})
	if l := letters[0]; l.Sink != "soc" || !strings.Contains(l.Reason, "422") && !strings.Contains(l.Detail, "422") {
		t.Errorf("got dead letter %+v, want one of sink soc that tells of 422", l)
	}
	state := jsonLines[map[string]any](t, mustAidr(t, "state", "get", "--json", "--state", u.state,
		"--rule", "test.late", "--key", "ai_agent.uid=arn:aws:iam::111122223333:user/eve"))
	if len(state) != 1 || state[0]["rule"] != "test.late" {
		t.Errorf("aidr state get: got %v", state)
	}
	u.receiver.answers.Store(0)
	mustAidr(t, "dlq", "replay", "--state", u.state, strconv.FormatUint(letters[0].Seq, 10))
	await(t, 30*time.Second, "the delivery arrives", func() error {
		whole, _ := u.receiver.findings()
		for _, f := range whole {
			if f.RuleID == "test.late" {
				return nil
			}
		}
		return fmt.Errorf("%d findings arrived", len(whole))
	})
	if left := deadLetters(t, u, "--kind", "delivery"); len(left) != 0 {
		t.Errorf("after the replay: got dead letters %+v, want none", left)
	}
}

// testClearState lists State of the running process, and makes a rule forget one key.
func testClearState(t *testing.T, u *setup) {
	t.Helper()
	state := func(args ...string) []string { return append([]string{"state", "--state", u.state}, args...) }
	key := []string{"--rule", "test.late", "--key", "ai_agent.uid=arn:aws:iam::111122223333:user/eve"}
	if o := aidr(t, state(append([]string{"clear"}, key...)...)...); o.code != exitUsage || !strings.Contains(o.stderr, "--reason is missing") {
		t.Errorf("aidr state clear without a reason: got %+v", o)
	}
	mustAidr(t, state(append([]string{"clear", "--reason", "a test"}, key...)...)...)
	audit := jsonLines[store.AuditEntry](t, mustAidr(t, state("audit")...))
	if len(audit) != 1 || audit[0].Rule != "test.late" || audit[0].Reason != "a test" || !strings.HasPrefix(audit[0].Who, "uid ") {
		t.Errorf("aidr state audit: got %+v", audit)
	}
	if o := aidr(t, state(append([]string{"clear", "--reason", "again"}, key...)...)...); o.code != exitFailed || !strings.Contains(o.stderr, "remembers nothing") {
		t.Errorf("aidr state clear of nothing: got %+v", o)
	}
	mustAidr(t, state("ls")...)
	mustAidr(t, state("export")...)
	late := jsonLines[map[string]any](t, mustAidr(t, "findings", "ls", "--json", "--rule", "test.late", "--state", u.state))
	if len(late) != 1 || late[0]["status"] != "settled" {
		t.Errorf("the open finding of the cleared State: got %v, want it settled", late)
	}
}
