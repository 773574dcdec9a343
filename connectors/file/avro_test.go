package file

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// A container file of Avro is read as one record per value, also if it is compressed as a whole. If it is broken, the
// error names the file.
func TestAvro(t *testing.T) {
	schema := avro.MustParse(`{"type":"record","name":"r","fields":[{"name":"a","type":"long"},{"name":"b","type":["null","string"]}]}`)
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, schema, ocf.WithCodec(ocf.DeflateCodec(6)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := w.Encode(map[string]any{"a": int64(i), "b": "x\ny"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"a.avro": b.String(), "a.avro.gz": gzipped(t, b.String()), "nameless": b.String()} {
		path := filepath.Join(t.TempDir(), name)
		write(t, path, content)
		r, err := read(t, Config{Paths: []string{path}})
		if got, want := r.Texts(fileAt(path)), []string{`{"a":0,"b":"x\ny"}`, `{"a":1,"b":"x\ny"}`}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	for name, content := range map[string]string{"cut": b.String()[:b.Len()-1], "head": "Obj\x01\x02", "gzip": gzipped(t, "Obj\x01rubbish")} {
		path := filepath.Join(t.TempDir(), name)
		write(t, path, content)
		if _, err := read(t, Config{Paths: []string{path}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
