package registry

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	inner           = `{"type":"record","name":"a.Tool","fields":[{"name":"tool","type":"string"}]}`
	outer           = `{"type":"record","name":"Event","fields":[{"name":"id","type":"long"},{"name":"call","type":"a.Tool"}]}`
	telemetrySchema = "syntax = \"proto3\";\n\npackage opentelemetry.proto.collector.trace.v1;\n"

	message = `syntax = "proto3"; package acme; import "acme/tool.proto";
message Ping { string at = 1; } message Call { int64 id = 1; acme.Tool tool = 2; message Inner { bool on = 1; } }`
	tool  = `syntax = "proto3"; package acme; message Tool { string name = 1; }`
	plain = `{"type":"record","name":"Event","fields":[{"name":"id","type":"long"}]}`
)

// frame puts a frame with an id of 4 or 8 bytes before a body.
func frame(id uint64, size int, body string) string {
	head := binary.BigEndian.AppendUint64(nil, id)
	return "\x00" + string(head[8-size:]) + body
}

// startRegistry starts a registry with the schemas: 1 Avro with a reference, 2 JSON, 3 OpenTelemetry, 4 broken, 5 protobuf with a reference. It fails
// while down is set.
func startRegistry(t *testing.T, down *atomic.Bool, requests *atomic.Int32) string {
	t.Helper()
	answer := func(w http.ResponseWriter, d map[string]any) {
		if err := json.NewEncoder(w).Encode(d); err != nil {
			t.Error(err)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		user, password, _ := r.BasicAuth()
		switch {
		case down.Load():
			http.Error(w, "away", http.StatusServiceUnavailable)
		case user != "me" || password != "secret":
			http.Error(w, "no", http.StatusUnauthorized)
		case r.URL.Path == "/schemas/ids/1":
			answer(w, map[string]any{"schema": outer, "references": []map[string]any{{"name": "a.Tool", "subject": "a/Tool", "version": 3}}})
		case r.URL.EscapedPath() == "/subjects/a%2FTool/versions/3":
			answer(w, map[string]any{"schema": inner, "subject": "a/Tool", "version": 3})
		case r.URL.Path == "/schemas/ids/2":
			answer(w, map[string]any{"schema": "{}", "schemaType": "JSON"})
		case r.URL.Path == "/schemas/ids/3":
			answer(w, map[string]any{"schema": telemetrySchema, "schemaType": "PROTOBUF"})
		case r.URL.Path == "/schemas/ids/5":
			answer(w, map[string]any{
				"schema": message, "schemaType": "PROTOBUF",
				"references": []map[string]any{{"name": "acme/tool.proto", "subject": "tool", "version": 1}},
			})
		case r.URL.Path == "/subjects/tool/versions/1":
			answer(w, map[string]any{"schema": tool, "schemaType": "PROTOBUF"})
		case r.URL.Path == "/schemas/ids/4":
			answer(w, map[string]any{"schema": `{"type":"nothing"}`})
		default:
			w.WriteHeader(http.StatusNotFound)
			answer(w, map[string]any{"error_code": 40403, "message": "Schema not found"})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Messages of protobuf become JSON by the schema of the registry, at their position in it.
func TestConvertMessages(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var requests atomic.Int32
	address := startRegistry(t, &down, &requests)
	folder := t.TempDir()
	for name, content := range map[string]string{"6.proto": message, "acme/tool.proto": tool, "8.proto": "syntax"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const called = "\x08\x07\x12\x06\x0a\x04bash"
	texts := []string{
		frame(5, 4, "\x00\x0a\x02hi"), frame(5, 4, "\x02\x02"+called), frame(5, 4, "\x04\x02\x00\x08\x01"), frame(6, 4, "\x02\x02"+called),
		frame(5, 4, "\x02\x08"+called), frame(5, 4, "\x02\x02\xff"), frame(8, 4, "\x00"),
	}
	c := Config{URL: address, Username: "me", Password: "secret", Schemas: folder}
	s := wrap(t, c, func(time.Duration) { t.Error("waited") }, texts...)
	e := &engine{}
	if err := s.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	json := `{"id":7,"tool":{"name":"bash"}}`
	want := []string{`7:{"at":"hi"}`, "8:" + json, `9:{"on":true}`, "10:" + json, "11:" + texts[4], "12:" + texts[5], "13:" + texts[6]}
	if !slices.Equal(e.texts, want) {
		t.Errorf("got %q, want %q", e.texts, want)
	}
	if got := s.Counts(); got != (Counts{Converted: 4, Unknown: 1, Invalid: 2}) {
		t.Errorf("counts %+v", got)
	}
}

// engine is a connectors.Reader that keeps the records it reads.
type engine struct {
	texts []string
	quiet int // batches without records
	lost  int
}

func (e *engine) Assigned(connectors.Partition) (int64, bool)         { return 0, false }
func (e *engine) Revoked(context.Context, connectors.Partition) error { return nil }
func (e *engine) Standby(string, string)                              {}
func (e *engine) StateLost(connectors.Partition)                      { e.lost++ }
func (e *engine) Read(_ context.Context, b *connectors.Batch) (err error) {
	if len(b.Records) == 0 {
		e.quiet++
		if b.AtEnd {
			err = errors.New("at its end although records wait")
		}
	}
	for _, r := range b.Records {
		e.texts = append(e.texts, fmt.Sprintf("%d:%s", r.Offset, b.Raw[r.Start:r.End]))
	}
	return err
}

// script is a source with fixed records.
type script struct{ texts []string }

func (s *script) Name() string                                                 { return "k" }
func (s *script) Commit(context.Context, map[connectors.Partition]int64) error { return nil }
func (s *script) Health() connectors.Health                                    { return connectors.Health{} }
func (s *script) Run(ctx context.Context, r connectors.Reader) error {
	b := &connectors.Batch{Partition: connectors.Partition{Source: "k", Topic: "t"}, AtEnd: true}
	for i, text := range s.texts {
		b.Records = append(b.Records, connectors.Record{Start: len(b.Raw), End: len(b.Raw) + len(text), Offset: int64(7 + i)})
		b.Raw += text
	}
	b.Next = int64(7 + len(s.texts))
	if l, ok := r.(connectors.StateLost); ok {
		l.StateLost(b.Partition)
	}
	return r.Read(ctx, b)
}

// wrap returns a source of the texts whose pauses call each.
func wrap(t *testing.T, c Config, each func(total time.Duration), texts ...string) *Source {
	t.Helper()
	s, err := Wrap(&script{texts}, c)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1_800_000_000, 0)
	var total time.Duration
	s.client.now = func() time.Time { return start.Add(total) }
	s.pause = func(_ context.Context, d time.Duration) {
		total += d
		each(total)
	}
	return s
}

func value(t *testing.T, id int64) string {
	t.Helper()
	b, err := avro.MustParse(plain).Encode(map[string]any{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConvert(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var requests atomic.Int32
	address := startRegistry(t, &down, &requests)
	call := value(t, 5) + "\x08bash"
	texts := []string{
		`{"json":1}`, frame(1, 4, call), frame(2, 4, `{"id":6}`), frame(3, 4, "\x00\x0aotlp"), frame(3, 4, "\x04\x02\x00\x0aotlp"),
		frame(1, 4, call+"x"), frame(4, 4, "broken"), frame(3, 4, "\x01"), "\x00\x00\x00\x00\x00NUL", "\x00ab", "", frame(1, 4, call),
	}
	s := wrap(t, Config{URL: address, Username: "me", Password: "secret"}, func(time.Duration) { t.Error("waited") }, texts...)
	e := &engine{}
	if err := s.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	json := `{"call":{"tool":"bash"},"id":5}`
	want := []string{
		`7:{"json":1}`, "8:" + json, `9:{"id":6}`, "10:\x0aotlp", "11:\x0aotlp", "12:" + texts[5], "13:" + texts[6], "14:" + texts[7],
		"15:" + texts[8], "16:" + texts[9], "17:", "18:" + json,
	}
	if !slices.Equal(e.texts, want) {
		t.Errorf("got\n%q, want\n%q", e.texts, want)
	}
	if got, want := s.Counts(), (Counts{Converted: 5, Unknown: 1, Invalid: 2}); got != want || e.lost != 1 {
		t.Errorf("counts %+v, want %+v; %d states lost", got, want, e.lost)
	}
	if n := requests.Load(); n != 5 { // one for each schema, and one for the reference
		t.Errorf("%d requests, want 5", n)
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("health %+v", h)
	}
}

// While the registry is away the partition waits, degraded, and nothing is lost.
func TestRegistryAway(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var requests atomic.Int32
	address := startRegistry(t, &down, &requests)
	down.Store(true)
	var s *Source
	e := &engine{}
	s = wrap(t, Config{URL: address, Username: "me", Password: "secret"}, func(total time.Duration) {
		h := s.Health()
		if !h.Degraded || !strings.Contains(h.Reason, "partition t/0 waits: schema 2 of offset 8") || !strings.Contains(h.Reason, "answers 503") ||
			strings.Contains(h.Reason, "secret") {
			t.Errorf("health %+v", h)
		}
		if len(e.texts) > 0 || e.quiet != 1 {
			t.Errorf("read %q, %d times without records", e.texts, e.quiet)
		}
		down.Store(total < time.Hour)
	}, "{}", frame(2, 4, `{"id":6}`))
	if err := s.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if want := []string{"7:{}", `8:{"id":6}`}; !slices.Equal(e.texts, want) || s.Health().Degraded {
		t.Errorf("got %q, want %q; health %+v", e.texts, want, s.Health())
	}
	// The end of the source ends the wait.
	down.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	s = wrap(t, Config{URL: address, Username: "me", Password: "secret"}, func(time.Duration) { cancel() }, frame(2, 4, `{}`))
	if err := s.Run(ctx, &engine{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// An id that the registry does not know holds the partition back for a moment, once; then its records become dead
// letters.
func TestUnknownID(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var requests atomic.Int32
	address := startRegistry(t, &down, &requests)
	var waited time.Duration
	texts := []string{frame(9, 4, "a"), frame(9, 4, "b"), frame(10, 4, "c"), frame(2, 4, `{}`)}
	s := wrap(t, Config{URL: address, Username: "me", Password: "secret"}, func(total time.Duration) { waited = total }, texts...)
	e := &engine{}
	if err := s.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if want := []string{"7:" + texts[0], "8:" + texts[1], "9:" + texts[2], "10:{}"}; !slices.Equal(e.texts, want) || waited != UnknownWait {
		t.Errorf("got %q after %v, want %q after %v", e.texts, waited, want, UnknownWait)
	}
	if c := s.Counts(); c.Unknown != 3 {
		t.Errorf("counts %+v", c)
	}
	before := requests.Load()
	if err := s.Run(t.Context(), e); err != nil || requests.Load() != before {
		t.Errorf("%d requests for cached answers, %v", requests.Load()-before, err)
	}
}

func TestFolderAndApicurio(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"1.avsc": plain, "2.json": "{}", "3.proto": telemetrySchema} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := func(c Config, size int) {
		t.Helper()
		texts := []string{frame(1, size, value(t, 5)), frame(2, size, `{"id":6}`), frame(3, size, "\x00otlp")}
		s := wrap(t, c, func(time.Duration) { t.Error("waited") }, texts...)
		e := &engine{}
		if err := s.Run(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if want := []string{`7:{"id":5}`, `8:{"id":6}`, "9:otlp"}; !slices.Equal(e.texts, want) {
			t.Errorf("got %q, want %q", e.texts, want)
		}
	}
	f(Config{Schemas: dir}, 4)
	f(Config{Schemas: dir, IDBytes: 8}, 8)
	server := httptest.NewServer(http.StripPrefix("/apis/registry/v2/ids/globalIds/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "1":
			fmt.Fprint(w, plain)
		case "2":
			fmt.Fprint(w, `{"$schema":"x","type":"object"}`)
		default:
			fmt.Fprint(w, telemetrySchema)
		}
	})))
	t.Cleanup(server.Close)
	f(Config{URL: server.URL + "/apis/registry/v2", IDBytes: 8}, 8)
}

// Schemas that refer to others are read through both versions of Apicurio's API, which differ in the path of a content.
func TestApicurioReferences(t *testing.T) {
	t.Parallel()
	const called = "\x08\x07\x12\x06\x0a\x04bash"
	for _, test := range []struct{ version, content string }{{"v2", ""}, {"v3", "/content"}} {
		root := "/apis/registry/" + test.version
		tools, base := root+"/groups/acme%2Ftools/artifacts/tool/versions/1", root+"/groups/default/artifacts/base/versions/2"
		answers := map[string]string{
			root + "/ids/globalIds/5":            message,
			root + "/ids/globalIds/5/references": `[{"groupId":"acme/tools","artifactId":"tool","version":"1","name":"acme/tool.proto"}]`,
			tools + test.content:                 `syntax = "proto3"; package acme; import "base.proto"; message Tool { base.Name name = 1; }`,
			tools + "/references":                `[{"groupId":null,"artifactId":"base","version":"2","name":"base.proto"}]`,
			base + test.content:                  `syntax = "proto3"; package base; message Name { string name = 1; }`,
			base + "/references":                 `[]`,
			root + "/ids/globalIds/6":            message, // an import that is missing
			root + "/ids/globalIds/6/references": `[]`,
			root + "/ids/globalIds/7":            outer,
			root + "/ids/globalIds/7/references": `[{"artifactId":"Tool","version":"3","name":"a.Tool"}]`,
			root + "/groups/default/artifacts/Tool/versions/3" + test.content: inner,
			root + "/groups/default/artifacts/Tool/versions/3/references":     `[]`,
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, ok := answers[r.URL.EscapedPath()]; ok {
				fmt.Fprint(w, text)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code":404,"message":"no","name":"ArtifactNotFoundException"}`)
		}))
		t.Cleanup(server.Close)
		s := wrap(t, Config{URL: server.URL + root, IDBytes: 8}, func(time.Duration) { t.Error("waited") },
			frame(5, 8, "\x02\x02\x08\x07\x12\x08\x0a\x06\x0a\x04bash"), frame(6, 8, "\x02\x02"+called))
		e := &engine{}
		if err := s.Run(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if want := `7:{"id":7,"tool":{"name":{"name":"bash"}}}`; len(e.texts) != 2 || e.texts[0] != want {
			t.Errorf("%s: got %q, want %q first", test.version, e.texts, want)
		}
		if got := s.Counts(); got.Converted != 1 {
			t.Errorf("%s: counts %+v", test.version, got)
		}
		if _, err := s.client.lookup(t.Context(), 7); err != nil {
			t.Errorf("%s: an Avro schema with a reference: %v", test.version, err)
		}
	}
}

// A wrong path or password is not an unknown id: the partition waits until the configuration is right.
func TestWrongURL(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(page.Close)
	var down atomic.Bool
	var requests atomic.Int32
	for _, test := range []struct{ address, want string }{{page.URL, "answers 404"}, {startRegistry(t, &down, &requests), "check username"}} {
		s := wrap(t, Config{URL: test.address, Username: "me", Password: "wrong-secret"}, nil)
		_, err := s.client.lookup(t.Context(), 1)
		if err == nil || isDefinite(err) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("error %v, want %q in it", err, test.want)
		}
		if a := s.Probe(t.Context()); len(a) != 1 || !a[0].Failed || !strings.Contains(a[0].Text, test.want) {
			t.Errorf("probe %+v", a)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	f := func(c Config, want string) {
		t.Helper()
		if _, err := Wrap(&script{}, c); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: error %v, want %q in it", c, err, want)
		}
	}
	f(Config{URL: "https://r"}, "")
	f(Config{}, "neither url nor schemas")
	f(Config{URL: "r:8081"}, "not an http")
	f(Config{URL: "https://u:p@r"}, "use username")
	f(Config{URL: "https://r", Username: "u"}, "go together")
	f(Config{URL: "https://r", Cert: "c"}, "go together")
	f(Config{URL: "https://r", IDBytes: 5}, "use 4 or 8")
	f(Config{Schemas: "/does/not/exist"}, "not a folder")
	f(Config{URL: "https://r", CA: "/does/not/exist"}, "read tls ca")
}

func FuzzRecord(f *testing.F) {
	schema, err := parse("AVRO", outer, text{"a.Tool", inner})
	if err != nil {
		f.Fatal(err)
	}
	calls, err := parse("PROTOBUF", message, text{"acme/tool.proto", tool})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("\x02\x02\x08\x07\x12\x06\x0a\x04bash")
	f.Add("\x0a\x08bash")
	f.Add("\x04\x02\x00x")
	f.Fuzz(func(t *testing.T, body string) {
		for _, s := range []found{schema, {kind: kindJSON}, {kind: kindProtobuf}, calls} {
			for _, head := range []int{5, 9} {
				s.appendRecord(nil, frame(1, head-1, body), head, nil)
			}
		}
	})
}
