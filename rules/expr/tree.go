package expr

import (
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// maxTreeDepth is the deepest nesting of a value for CEL, the same as the limit of decoding. A deeper value is missing.
const maxTreeDepth = 64

// box returns the value in CEL. It allocates; nodes do not need it.
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

// listTexts returns the texts of a KindList; it omits elements that are not texts.
func listTexts(text string) []string {
	if text == "" || text[0] != '[' {
		return nil
	}
	var out []string
	it := predicate.Items(text)
	for it.Next() {
		if s, ok := predicate.Unquote(it.Value()); ok {
			out = append(out, s)
		}
	}
	return out
}

// jsonTree returns a JSON value in CEL; null is missing.
func jsonTree(text string, depth int) ref.Val {
	v := predicate.JSONValue(text)
	if v.Kind != schema.KindJSON {
		return box(v)
	}
	if depth >= maxTreeDepth {
		return missing{}
	}
	it := predicate.Items(v.Text)
	if v.Text[0] == '[' {
		var elems []ref.Val
		for it.Next() {
			elems = append(elems, jsonTree(it.Value(), depth+1))
		}
		return array{types.NewRefValList(types.DefaultTypeAdapter, elems), v.Text}
	}
	m := &object{members: map[string]ref.Val{}, text: v.Text}
	vals := map[ref.Val]ref.Val{}
	for it.Next() {
		key, ok := predicate.Unquote(it.Key())
		if !ok {
			continue
		}
		val := jsonTree(it.Value(), depth+1)
		if _, twice := m.members[key]; !twice {
			m.keys = append(m.keys, types.String(key))
		}
		m.members[key] = val
		vals[types.String(key)] = val
	}
	m.Mapper = types.NewRefValMap(types.DefaultTypeAdapter, vals)
	return m
}

// object is a JSON object. An absent key is missing, not an error. The keys have the order of the text, so that results never
// depend on the order of a map.
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

// jsonText returns the text that text functions search in a value: a text, or the text of an object or array in the record,
// with its escapes spelled out, as in the nodes. ok is false for other values.
func jsonText(v ref.Val) (text string, ok bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case *object:
		return predicate.SpellOut(v.text), true
	case array:
		return predicate.SpellOut(v.text), true
	}
	return "", false
}

// Find returns the member with the key, or missing.
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

// Get returns the member with the key, or missing.
func (o *object) Get(key ref.Val) ref.Val {
	v, _ := o.Find(key)
	return v
}

// Contains reports whether the object has the key with a value other than null.
func (o *object) Contains(key ref.Val) ref.Val {
	v, _ := o.Find(key)
	return types.Bool(!isMissing(v))
}

// Iterator returns the keys in the order of the text.
func (o *object) Iterator() traits.Iterator {
	return types.NewRefValList(types.DefaultTypeAdapter, o.keys).Iterator()
}
