package config

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Identity names the agents of one dataset: the first rung of the ladder.
type Identity struct {
	Dataset string
	UID     *predicate.Name
}

// Override is the whole of `identity`.
type Override struct {
	Datasets []Identity
	Raws     [][]string // the raw paths that the expressions read, in the order in which they number them
}

// Enrichment is what is known of addresses: files in MaxMind's format, "" for none.
type Enrichment struct {
	Country, ASN string
}

// identity reads a list of {dataset, uid}. Its expressions have an environment of their own, because they number the raw
// paths that they read.
func (r *reader) identity(n *doc.Node) *Override {
	if n == nil {
		return nil
	}
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		n.Fail("can not be compiled: %v", err)
		return nil
	}
	known := r.datasets(auto)
	out := &Override{}
	taken := map[string]bool{}
	for _, item := range n.Items() {
		f := item.Fields()
		dataset, uid := f.Need("dataset"), f.Need("uid")
		f.Done()
		known.check(dataset)
		name := dataset.Filled()
		if taken[name] && name != "" {
			dataset.Fail("%q has an expression above: write one, with a ? b : c for what may differ", doc.Short(name))
		}
		taken[name] = true
		if uid == nil || uid.Kind != doc.Text {
			uid.Filled() // says that it is no text
			continue
		}
		made, issues := env.CompileName(uid.Filled())
		for _, i := range issues {
			uid.FailAt(i.Line, i.Col, "%s", i.Text)
		}
		if made != nil {
			out.Datasets = append(out.Datasets, Identity{Dataset: name, UID: made})
		}
	}
	out.Raws = env.RawPaths()
	return out
}

func (r *reader) enrichment(n *doc.Node) (e Enrichment) {
	if n == nil {
		return e
	}
	f := n.Fields()
	e = Enrichment{Country: absolute(r.text(f.Get("country"))), ASN: absolute(r.text(f.Get("asn")))}
	f.Done()
	if e == (Enrichment{}) {
		n.Fail("names no file: give country, asn or both")
	}
	return e
}

// deadLetters is what `redact` calls the bodies of dead letters.
const deadLetters = "dead_letters"

// exposures are the words of `redact`. What it does not name has its credentials replaced.
var exposures = [...]string{"keep", "hash", "drop"}

func exposure(n *doc.Node) schema.Exposure {
	switch n.Enum(exposures[:]...) {
	case "keep":
		return schema.Kept
	case "hash":
		return schema.Hashed
	case "drop":
		return schema.Dropped
	}
	return schema.Redacted
}

// redact reads how much of which field may leave the worker. A dead letter is a whole record: unless it is named, it is
// treated like the field of which least is shown.
func (r *reader) redact(n *doc.Node) *schema.Redaction {
	if n == nil {
		return nil
	}
	out := &schema.Redaction{}
	dead := false
	n.Each(func(name, value *doc.Node) {
		x, text := exposure(value), name.String()
		field, isField := schema.FieldByName(text)
		path, isRaw := strings.CutPrefix(text, "raw.")
		switch {
		case text == deadLetters:
			dead = true
			out.SetDead(x)
		case isField && field.Visible():
			out.SetField(field, x)
		case isRaw && !slices.Contains(strings.Split(path, "."), ""):
			out.SetRaw(strings.Split(path, "."), x)
		default:
			name.Fail("%q is no field that findings can show: write a name of FIELDS.md, raw.PATH, or %s for the records that can not be decoded", doc.Short(text), deadLetters)
		}
	})
	if !dead {
		out.SetDead(out.Strictest())
	}
	return out
}
