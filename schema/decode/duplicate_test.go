package decode_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	. "github.com/aidr-engine/aidr/schema/decode"
)

// If a key occurs twice in an object, its last value counts, as in encoding/json: a record with duplicates gives the
// same as after encoding/json has decoded and encoded it.
func TestDuplicateKeysCountAsInEncodingJSON(t *testing.T) {
	r := allRecords(t)
	for _, name := range r.detector.Names {
		checks := 0
		for _, host := range r.longest(name, 2) {
			values, members := walk(host)
			clean, ok := viaEncodingJSON(t, host)
			if !ok || !reflect.DeepEqual(canonical(r.detector.All(t, host, Meta{Time: 1})), canonical(r.detector.All(t, clean, Meta{Time: 1}))) {
				t.Errorf("%s: a record depends on the order of its keys or on blanks: %.300s", name, host)
				continue
			}
			for i, key := range keysOf(values) {
				for j, at := range members {
					if at.outer != nil {
						continue // encoding/json does not rewrite JSON inside strings
					}
					spelled := key
					if (i+j)%2 == 1 {
						spelled = `\u00` + hex(key[0]) + key[1:]
					}
					twice := at.member(`"`+spelled+`"`, `{"victim":["first"]}`)
					clean, ok := viaEncodingJSON(t, twice)
					if !ok {
						continue
					}
					checks++
					got, want := canonical(r.detector.All(t, twice, Meta{Time: 1})), canonical(r.detector.All(t, clean, Meta{Time: 1}))
					if !reflect.DeepEqual(got, want) {
						t.Errorf("%s: key %s twice in %s:\ngot  %v\nwant %v\nin %.300s", name, spelled, at.path, got, want, twice)
					}
				}
			}
		}
		t.Logf("%-28s %6d checks", name, checks)
	}
}

// keysOf returns the distinct keys of the values that need no escape.
func keysOf(values []position) (keys []string) {
	seen := map[string]bool{}
	for _, at := range values {
		key := strings.TrimRight(at.path[strings.LastIndexByte(at.path, '.')+1:], `[]"`)
		if key == "" || seen[key] || strings.ContainsAny(key, `"\`) || key[0] >= 0x80 {
			continue
		}
		seen[key] = true
		keys = append(keys, key)
	}
	return keys
}

func hex(c byte) string { return string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]) }

// viaEncodingJSON decodes a record with encoding/json and encodes it again.
func viaEncodingJSON(t *testing.T, record string) (string, bool) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(record))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", false
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), true
}

// canonical returns the events of a record without the fields that depend on its spelling, which are hashes of its
// text.
func canonical(res Result) []map[string]any {
	var events []map[string]any
	for _, e := range res.Events {
		e = maps.Clone(e)
		for name := range e {
			if strings.HasSuffix(name, ".hash") {
				delete(e, name)
			}
		}
		events = append(events, e)
	}
	return events
}
