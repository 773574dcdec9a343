// Package registry reads the messages that the serializers of a schema registry write: a zero byte, the id of a schema,
// and a value. [Wrap] puts it between a source and the engine. Avro and protobuf become JSON by their schema; JSON, and the
// telemetry of OpenTelemetry in protobuf, only lose their frame; all other records pass as they are. Confluent's
// registry and Apicurio are known, over HTTP or as a folder of schemas.
//
// Nothing is lost. While the registry does not answer, the partition is held back and the source is degraded. A
// registry that answers that it does not know an id is asked again for UnknownWait, because registries replicate; then
// the record is passed on in its frame and becomes a dead letter, because one bad producer must not stop a partition.
// So does a value that does not fit its schema.
package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/avro"
	"github.com/aidr-engine/aidr/connectors/protobuf"
)

// Config configures a registry. At least one of URL and Schemas is set.
type Config struct {
	// URL is the address of the registry: of Confluent's API, also Apicurio's /apis/ccompat/v7, or of Apicurio's own
	// API, which has /apis/registry/ in its path.
	URL string
	// Username and Password are sent by basic authentication. Both may be empty.
	Username, Password string
	// CA is a file with the authorities that are trusted instead of those of the system; Cert and Key are the files of
	// a client certificate. All are PEM.
	CA, Cert, Key string
	// Schemas is a folder of schemas, each in a file that is named by its id: 7.avsc, 7.json or 7.proto. The folder is
	// asked before the URL.
	Schemas string
	// IDBytes is the length of an id in a frame: 4, or 8 as Apicurio's serializers wrote it before version 3. 0 means
	// 4.
	IDBytes int

	Log *slog.Logger // nil: no logging
}

const (
	// requestTimeout bounds each request to the registry.
	requestTimeout = 10 * time.Second
	// maxSchemas is the number of schemas in the cache. A topic has a few, one for each version of each type.
	maxSchemas = 1000
	// maxReferences is the number of schemas that one schema may refer to, directly or not.
	maxReferences = 50
	// maxAnswer is the largest answer of a registry, in bytes: a schema as a JSON text.
	maxAnswer = 4 * avro.MaxSchema
	// maxFolder is the largest size of all files of protobuf in a folder of schemas, in bytes.
	maxFolder = 16 << 20
	// unknownLife is how long an id counts as unknown before the registry is asked for it again.
	unknownLife = time.Minute
)

// Validate returns all problems of c, joined.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("registry: "+format, args...)) }
	if c.URL == "" && c.Schemas == "" {
		add("neither url nor schemas: name the address of the registry, or a folder with its schemas")
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		add("url: not an http or https URL")
	} else if err == nil && u.User != nil {
		add("url: holds a user: use username and password")
	}
	if (c.Username == "") != (c.Password == "") {
		add("username and password go together: give both or neither")
	}
	if (c.Cert == "") != (c.Key == "") {
		add("cert and key go together: name both files or neither")
	}
	if c.IDBytes != 0 && c.IDBytes != 4 && c.IDBytes != 8 {
		add("id bytes %d: use 4 or 8", c.IDBytes)
	}
	if info, err := os.Stat(c.Schemas); c.Schemas != "" && (err != nil || !info.IsDir()) {
		add("schemas %q: not a folder that can be read", c.Schemas)
	}
	return errors.Join(errs...)
}

// kind is the type of a schema.
type kind uint8

const (
	kindAvro kind = iota
	kindJSON
	kindProtobuf
)

// found is a schema of the registry.
type found struct {
	kind    kind
	avro    *avro.Schema     // for kindAvro
	message *protobuf.Schema // for kindProtobuf; nil for telemetry of OpenTelemetry
}

// text is the text of a schema that another refers to, and the name by which it does.
type text struct{ name, schema string }

// errUnknown is the answer of a registry that does not have an id.
var errUnknown = errors.New("the registry has no schema of this id")

// errBroken marks a schema that the registry has and that cannot be used. Asking again does not help.
var errBroken = errors.New("the schema cannot be used")

// client looks schemas up. It is safe for concurrent use.
type client struct {
	cfg  Config
	http *http.Client
	now  func() time.Time // time.Now except in tests

	asking  chan struct{} // holds a token while nobody asks the registry
	known   *lru.Cache[uint64, found]
	refused *lru.Cache[uint64, refusal] // the negative cache
}

// refusal is the definite answer that an id has no usable schema.
type refusal struct {
	err   error
	until time.Time
}

func newClient(c Config) (*client, error) {
	t, err := (&connectors.TLS{CA: c.CA, Cert: c.Cert, Key: c.Key}).Config()
	if err != nil {
		return nil, err
	}
	known, err := lru.New[uint64, found](maxSchemas)
	if err != nil {
		return nil, err
	}
	refused, err := lru.New[uint64, refusal](maxSchemas)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	x := &client{
		cfg: c, now: time.Now, known: known, refused: refused, asking: make(chan struct{}, 1),
		http: &http.Client{Transport: transport, Timeout: requestTimeout, CheckRedirect: refuseRedirect},
	}
	x.asking <- struct{}{}
	return x, nil
}

// refuseRedirect keeps credentials at the configured host.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// lookup returns the schema of an id. An error that is errUnknown or errBroken is definite; any other may pass.
func (x *client) lookup(ctx context.Context, id uint64) (found, error) {
	if s, err, ok := x.cached(id); ok {
		return s, err
	}
	select {
	case <-x.asking:
	case <-ctx.Done():
		return found{}, ctx.Err()
	}
	defer func() { x.asking <- struct{}{} }()
	if s, err, ok := x.cached(id); ok { // another partition has asked
		return s, err
	}
	s, err := x.ask(ctx, id)
	switch {
	case err == nil:
		x.known.Add(id, s)
	case errors.Is(err, errUnknown), errors.Is(err, errBroken):
		x.refused.Add(id, refusal{err, x.now().Add(unknownLife)})
	}
	return s, err
}

func (x *client) cached(id uint64) (s found, err error, ok bool) {
	if s, ok = x.known.Get(id); ok {
		return s, nil, true
	}
	if r, no := x.refused.Get(id); no && x.now().Before(r.until) {
		return found{}, r.err, true
	}
	return found{}, nil, false
}

// forget makes the next lookup of an unknown id ask again.
func (x *client) forget(id uint64) { x.refused.Remove(id) }

// ask reads a schema from the folder or from the registry.
func (x *client) ask(ctx context.Context, id uint64) (found, error) {
	if x.cfg.Schemas != "" {
		if s, ok, err := x.fromFolder(id); ok {
			return s, err
		}
	}
	switch {
	case x.cfg.URL == "":
		return found{}, fmt.Errorf("%w: add a file %d.avsc to %s", errUnknown, id, x.cfg.Schemas)
	case strings.Contains(x.cfg.URL, "/apis/registry/"):
		return x.fromApicurio(ctx, id)
	}
	var answer document
	if err := x.get(ctx, "/schemas/ids/"+strconv.FormatUint(id, 10), &answer); err != nil {
		return found{}, err
	}
	before, err := x.references(ctx, answer.References, map[string]bool{})
	if err != nil {
		return found{}, err
	}
	return parse(answer.Type, answer.Schema, before...)
}

// fromFolder returns the schema of a file. ok is false if the folder has no such file.
func (x *client) fromFolder(id uint64) (s found, ok bool, err error) {
	for extension, kind := range map[string]string{".avsc": "AVRO", ".json": "JSON", ".proto": "PROTOBUF"} {
		path := filepath.Join(x.cfg.Schemas, strconv.FormatUint(id, 10)+extension)
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var text []byte
		if err == nil && info.Size() > avro.MaxSchema {
			err = fmt.Errorf("%w: %s is larger than %d bytes", errBroken, path, avro.MaxSchema)
		} else if err == nil {
			text, err = os.ReadFile(path)
		}
		if err != nil {
			return found{}, true, err
		}
		before, err := x.beside(kind)
		if err != nil {
			return found{}, true, err
		}
		s, err = parse(kind, string(text), before...)
		return s, true, err
	}
	return found{}, false, nil
}

// beside returns the other files of protobuf in the folder, which a schema may import by their path in it.
func (x *client) beside(kind string) (texts []text, err error) {
	if kind != "PROTOBUF" {
		return nil, nil
	}
	size := 0
	err = fs.WalkDir(os.DirFS(x.cfg.Schemas), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".proto") {
			return err
		}
		file, err := os.ReadFile(filepath.Join(x.cfg.Schemas, path))
		if size += len(file); err == nil && size > maxFolder {
			err = fmt.Errorf("%w: the files of protobuf in %s have more than %d bytes", errBroken, x.cfg.Schemas, maxFolder)
		}
		if err != nil {
			return err
		}
		texts = append(texts, text{path, string(file)})
		return nil
	})
	return texts, err
}

// document is a schema in the answers of Confluent's API.
type document struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"` // absent for Avro
	References []reference `json:"references"`
}

type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// references returns the texts of the schemas that a schema refers to, each after those that it refers to itself.
func (x *client) references(ctx context.Context, list []reference, seen map[string]bool) (texts []text, err error) {
	for _, r := range list {
		path := "/subjects/" + url.PathEscape(r.Subject) + "/versions/" + strconv.Itoa(r.Version)
		if seen[path] {
			continue
		}
		seen[path] = true
		if len(seen) > maxReferences {
			return nil, fmt.Errorf("%w: it refers to more than %d others", errBroken, maxReferences)
		}
		var answer document
		if err := x.get(ctx, path, &answer); err != nil {
			return nil, err
		}
		inner, err := x.references(ctx, answer.References, seen)
		if err != nil {
			return nil, err
		}
		texts = append(append(texts, inner...), text{r.Name, answer.Schema})
	}
	return texts, nil
}

// fromApicurio asks Apicurio's own API, which answers with the schema itself. Versions before 2.3 know no references, so it asks
// for them only if the schema cannot be read by itself.
func (x *client) fromApicurio(ctx context.Context, id uint64) (found, error) {
	ids := "contentIds"
	if x.cfg.IDBytes == 8 {
		ids = "globalIds"
	}
	path := "/ids/" + ids + "/" + strconv.FormatUint(id, 10)
	body, header, err := x.request(ctx, path)
	if err != nil {
		return found{}, err
	}
	kind := header.Get("X-Registry-ArtifactType")
	if kind == "" {
		kind = kindOf(string(body))
	}
	s, broken := parse(kind, string(body))
	if broken == nil {
		return s, nil
	}
	before, err := x.artifacts(ctx, path, map[string]bool{})
	switch {
	case errors.Is(err, errUnknown), err == nil && len(before) == 0:
		return found{}, broken
	case err != nil:
		return found{}, err
	}
	return parse(kind, string(body), before...)
}

// artifact is a reference of Apicurio's API (ArtifactReference in its OpenAPI document).
type artifact struct {
	Group   string `json:"groupId"` // absent: default
	ID      string `json:"artifactId"`
	Version string `json:"version"`
	Name    string `json:"name"`
}

// path returns the path of the version of the artifact.
func (a *artifact) path() string {
	return "/groups/" + url.PathEscape(cmp.Or(a.Group, "default")) + "/artifacts/" + url.PathEscape(a.ID) + "/versions/" + url.PathEscape(a.Version)
}

// artifacts returns the texts of the schemas that the one at path refers to, each after those that it refers to itself.
func (x *client) artifacts(ctx context.Context, path string, seen map[string]bool) (texts []text, err error) {
	var list []artifact
	if err := x.get(ctx, path+"/references", &list); err != nil {
		return nil, err
	}
	for i := range list {
		at := list[i].path()
		if seen[at] {
			continue
		}
		seen[at] = true
		if len(seen) > maxReferences {
			return nil, fmt.Errorf("%w: it refers to more than %d others", errBroken, maxReferences)
		}
		content := at
		if !strings.Contains(x.cfg.URL, "/apis/registry/v2") { // version 3 has the metadata there
			content += "/content"
		}
		body, _, err := x.request(ctx, content)
		if err != nil {
			return nil, err
		}
		inner, err := x.artifacts(ctx, at, seen)
		if err != nil {
			return nil, err
		}
		texts = append(append(texts, inner...), text{list[i].Name, string(body)})
	}
	return texts, nil
}

// kindOf guesses the type of a schema: an Avro schema has a type of Avro, and protobuf is not JSON.
func kindOf(text string) string {
	if !json.Valid([]byte(text)) {
		return "PROTOBUF"
	}
	if _, err := avro.Parse(text); err == nil {
		return "AVRO"
	}
	return "JSON"
}

// parse returns the schema in a text. That of JSON is not needed: the records are recognised by their contents.
func parse(kind, schema string, before ...text) (found, error) {
	switch strings.ToUpper(kind) {
	case "", "AVRO":
		texts := make([]string, len(before))
		for i, b := range before {
			texts[i] = b.schema
		}
		s, err := avro.Parse(schema, texts...)
		if err != nil {
			return found{}, fmt.Errorf("%w: %w", errBroken, err)
		}
		return found{kind: kindAvro, avro: s}, nil
	case "JSON":
		return found{kind: kindJSON}, nil
	case "PROTOBUF":
		return parseMessage(schema, before)
	}
	return found{}, fmt.Errorf("%w: its type %.20q is none of AVRO, JSON and PROTOBUF", errBroken, kind)
}

// telemetry finds the package of OpenTelemetry's messages, whose schema need not be compiled.
var telemetry = regexp.MustCompile(`(?m)^\s*package\s+opentelemetry\.proto\.`)

// parseMessage returns the schema of protobuf in a text.
func parseMessage(schema string, before []text) (found, error) {
	if telemetry.MatchString(schema) {
		return found{kind: kindProtobuf}, nil
	}
	imports := make(map[string]string, len(before))
	for _, b := range before {
		imports[b.name] = b.schema
	}
	s, err := protobuf.Parse(schema, imports)
	if err != nil {
		return found{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	return found{kind: kindProtobuf, message: s}, nil
}

// get requests a JSON document.
func (x *client) get(ctx context.Context, path string, into any) error {
	body, _, err := x.request(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("registry %s: the answer to %s is not the JSON of a registry: check url", x.host(), path)
	}
	return nil
}

func (x *client) request(ctx context.Context, path string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(x.cfg.URL, "/")+path, nil)
	if err != nil {
		return nil, nil, errors.New("registry: not a URL")
	}
	if x.cfg.Username != "" {
		r.SetBasicAuth(x.cfg.Username, x.cfg.Password)
	}
	r.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json, */*")
	res, err := x.http.Do(r)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the URL
		}
		return nil, nil, fmt.Errorf("registry %s: %w", x.host(), err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("registry %s: %w", x.host(), err)
	case res.StatusCode == http.StatusNotFound && isRegistry(body):
		return nil, nil, fmt.Errorf("registry %s: %w", x.host(), errUnknown)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, nil, fmt.Errorf("registry %s: answers %d: check username and password", x.host(), res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("registry %s: answers %d to %s: check url", x.host(), res.StatusCode, path)
	case len(body) > maxAnswer:
		return nil, nil, fmt.Errorf("registry %s: %w: the answer to %s is larger than %d bytes", x.host(), errBroken, path, maxAnswer)
	}
	return body, res.Header, nil
}

// isRegistry reports whether the body of a 404 is that of a registry, and not of a proxy or of a wrong path: both
// Confluent's and Apicurio's have a code of their own, 40403 for a schema.
func isRegistry(body []byte) bool {
	var answer struct {
		Code int    `json:"error_code"`
		Name string `json:"name"` // Apicurio
	}
	return json.Unmarshal(body, &answer) == nil && (answer.Code > http.StatusNotFound || strings.HasSuffix(answer.Name, "NotFoundException"))
}

func (x *client) host() string {
	u, err := url.Parse(x.cfg.URL)
	if err != nil {
		return "(not a URL)"
	}
	return u.Host
}
