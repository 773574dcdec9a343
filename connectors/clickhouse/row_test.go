package clickhouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

func TestNumber(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got := "nil"
		if d := number(json.Number(in)); d != nil {
			got = d.String()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	f("", "nil")
	f("x", "nil")
	f("NaN", "nil")
	f("0", "0")
	f("101", "101")
	f("-1.5", "-1.5")
	f("0.1234567894", "0.123456789")
	f("99999999999999999999999999999.999999999", maxDecimal)
	f("99999999999999999999999999999.9999999999", maxDecimal)
	f("1e30", maxDecimal)
	f("-1e30", "-"+maxDecimal)
	f("1e999999999", maxDecimal)
	f("1e-999999999", "0")
	f("12345678901234567890.123456789", "12345678901234567890.123456789")
	f("1."+strings.Repeat("0", 1<<20), "1")
}

// TestBlocks checks the limits on rows and partitions. The expected blocks are written as first-last Seq.
func TestBlocks(t *testing.T) {
	f := func(months []int, maxRows int, want string) {
		t.Helper()
		var all []row
		for i, m := range months {
			at := schema.Instant(time.Date(2000, time.Month(m), 2, 0, 0, 0, 0, time.UTC).UnixNano())
			all = append(all, row{entry: &connectors.Entry{Seq: uint64(i), Finding: &schema.Finding{GroupStart: at}}})
		}
		var got []string
		for _, b := range blocks(all, maxRows) {
			got = append(got, fmt.Sprintf("%d-%d", b[0].entry.Seq, b[len(b)-1].entry.Seq))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("got blocks %s, want %s", g, want)
		}
	}
	f(nil, 10, "")
	f([]int{1}, 10, "0-0")
	f([]int{1, 1, 1, 1, 1}, 2, "0-1 2-3 4-4")
	var many []int
	for m := range 2*maxPartitions + 1 {
		many = append(many, m, m)
	}
	f(many, 1000, "0-99 100-199 200-201")
}

func TestTokens(t *testing.T) {
	token := func(change func([]connectors.Entry)) string {
		e := entriesOf(5, 7, 1)
		for i := range e {
			e[i].Finding.DetectedAt = nil
		}
		if change != nil {
			change(e)
		}
		rows, poison := rowsOf(e)
		if len(poison) > 0 {
			t.Fatal(poison)
		}
		return block(rows).token()
	}
	base := token(nil)
	if again := token(nil); again != base {
		t.Errorf("the same entries have tokens %s and %s", base, again)
	}
	if !strings.HasPrefix(base, "aidr-findings-5-7-") {
		t.Errorf("got token %s, want the first and last Seq in it", base)
	}
	for name, change := range map[string]func([]connectors.Entry){
		"content":  func(e []connectors.Entry) { e[1].Finding.Title = "other" },
		"revision": func(e []connectors.Entry) { e[1].Finding.Revision = 2 },
		"position": func(e []connectors.Entry) { e[1].Seq = 600 },
	} {
		if token(change) == base {
			t.Errorf("%s: the token is the same after a change", name)
		}
	}
}

func TestClassify(t *testing.T) {
	f := func(err error, want class) {
		t.Helper()
		if got, _ := classify(fmt.Errorf("send: %w", err)); got != want {
			t.Errorf("%v: got class %d, want %d", err, got, want)
		}
	}
	for _, code := range []int32{159, 209, 210, 241, codeTooManyPartitions, 242, 164, 202, 516, 497, 999, 0} {
		f(&clickhouse.Exception{Code: code}, classRetry)
	}
	for _, code := range []int32{53, 70, 321, 469, 691} {
		f(&clickhouse.Exception{Code: code}, classRow)
	}
	f(&clickhouse.Exception{Code: 16}, classTable)
	f(&clickhouse.Exception{Code: 60}, classSchema)
	f(&clickhouse.OpError{Err: errors.New("x")}, classRow)
	f(errors.New("connection refused"), classRetry)
}

// TestDSN checks that neither an error nor a description contains a part of the password.
func TestDSN(t *testing.T) {
	for _, dsn := range []string{
		"clickhouse://u:hunter2", "://u:hunter2@h", "clickhouse://u:hun%ter2@h:1/db", "clickhouse://u:hunter2@h:port/db", "hunter2",
		"clickhouse://u:hunter2@h:9000/d`b", "clickhouse://u:hunter2@h:9000/db?dial_timeout=hunter2",
		"clickhouse://u:hunter2@h:9000/db?block_buffer_size=hunter2",
	} {
		_, err := New(Config{DSN: dsn})
		if err == nil {
			t.Errorf("%s: accepted", dsn)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("the error contains the password: %v", err)
		}
	}
	s, err := New(Config{DSN: "clickhouse://u:hunter2@h:9000"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), "clickhouse://u@h:9000/aidr"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if text := fmt.Sprintf("%v %s", s, s); strings.Contains(text, "hunter2") {
		t.Errorf("the description contains the password: %s", text)
	}
}
