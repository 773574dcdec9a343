package expr

import (
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/aidr-engine/aidr/schema"
)

// maxTreeDepth is the deepest nesting that is given to CEL as a tree, the same as what decode accepts; what lies
// deeper is missing.
const maxTreeDepth = 64

// box turns a value into CEL's. It allocates: typed nodes do without it.
func box(v schema.Value) ref.Val {
	switch v.Kind {
	case schema.KindString:
		return types.String(v.Text)
	case schema.KindInt:
		return types.Int(v.Int())
	case schema.KindDouble:
		return types.Double(v.Double())
	case schema.KindBool:
		return types.Bool(v.Bool())
	case schema.KindTimestamp:
		return types.Timestamp{Time: time.Unix(0, v.Int()).UTC()}
	case schema.KindList:
		return types.NewStringList(types.DefaultTypeAdapter, listTexts(v.Text))
	case schema.KindJSON:
		return jsonTree(v.Text, 0)
	}
	return missing{}
}

// listTexts returns the texts of a KindList; what is no text is left out.
func listTexts(text string) []string {
	if text == "" || text[0] != '[' {
		return nil
	}
	var out []string
	it := jsonItems{text: text, at: 1}
	for it.next() {
		if s, ok := jsonUnquote(it.value); ok {
			out = append(out, s)
		}
	}
	return out
}

// jsonTree builds CEL's value of one JSON value; null is missing.
func jsonTree(text string, depth int) ref.Val {
	v := jsonValue(text)
	if v.Kind != schema.KindJSON {
		return box(v)
	}
	if depth >= maxTreeDepth {
		return missing{}
	}
	it := jsonItems{text: v.Text, at: 1}
	if v.Text[0] == '[' {
		var elems []ref.Val
		for it.next() {
			elems = append(elems, jsonTree(it.value, depth+1))
		}
		return array{types.NewRefValList(types.DefaultTypeAdapter, elems), v.Text}
	}
	m := &object{members: map[string]ref.Val{}, text: v.Text}
	vals := map[ref.Val]ref.Val{}
	for it.next() {
		key, ok := jsonUnquote(it.key)
		if !ok {
			continue
		}
		val := jsonTree(it.value, depth+1)
		if _, twice := m.members[key]; !twice {
			m.keys = append(m.keys, types.String(key))
		}
		m.members[key] = val
		vals[types.String(key)] = val
	}
	m.Mapper = types.NewRefValMap(types.DefaultTypeAdapter, vals)
	return m
}

// object is a JSON object. A key that it lacks is missing, not an error, and its keys have the order of the text, so
// that what is made from them never depends on the order of a map.
type object struct {
	traits.Mapper
	keys    []ref.Val
	members map[string]ref.Val
	text    string
}

// array is a JSON array.
type array struct {
	traits.Lister
	text string
}

// jsonText returns what text functions ask: a text, or an object or array as it stands in the record, its escapes
// spelled out. So `gen_ai.tool.call.arguments.contains("/etc/shadow")` looks into all arguments, whatever they are
// called, however deep they lie, and whether the producer writes / or \/.
func jsonText(v ref.Val) (string, bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case *object:
		return jsonSpelled(v.text), true
	case array:
		return jsonSpelled(v.text), true
	}
	return "", false
}

// Find returns the member, missing where there is none.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	k, ok := key.(types.String)
	if !ok {
		return missing{}, true
	}
	if v, ok := o.members[string(k)]; ok {
		return v, true
	}
	return missing{}, true
}

// Get is Find.
func (o *object) Get(key ref.Val) ref.Val {
	v, _ := o.Find(key)
	return v
}

// Contains says whether the object has the key with something else than null.
func (o *object) Contains(key ref.Val) ref.Val {
	v, _ := o.Find(key)
	_, none := v.(missing)
	return types.Bool(!none)
}

// Iterator walks the keys in the order of the text.
func (o *object) Iterator() traits.Iterator {
	return types.NewRefValList(types.DefaultTypeAdapter, o.keys).Iterator()
}
