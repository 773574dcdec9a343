package config

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Identity names the agents of one dataset. It takes precedence over all other ways in which a record can name its agent.
type Identity struct {
	// Dataset of the records.
	Dataset string `key:"dataset,required"`
	// Expression over the event and its raw record; if it is empty, the default of the format applies.
	UID *predicate.Name `key:"uid,required" type:"expression (CEL)"`
}

// Override is the `identity` section.
type Override struct {
	Datasets []Identity `key:"[]"`
	Raws     [][]string // raw paths that the expressions read; the expressions refer to them by index
}

// Enrichment holds the paths of the files, in MaxMind's format, that describe addresses. A path may be "".
type Enrichment struct {
	// Database of countries: it sets source.geo.country_iso_code.
	Country string `key:"country"`
	// Database of autonomous systems: it sets source.as.number.
	ASN string `key:"asn"`
}

// identity reads a list of {dataset, uid}. The expressions have an environment of their own, because it numbers the raw
// paths that its expressions read.
func (r *reader) identity(n *doc.Node) *Override {
	if n == nil {
		return nil
	}
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		n.Fail("cannot be compiled: %v", err)
		return nil
	}
	known := r.datasets("aidr") // a source of this format may carry any dataset
	out := &Override{}
	taken := map[string]bool{}
	for _, item := range n.Items() {
		f := item.Fields()
		dataset, uid := f.Need("dataset"), f.Need("uid")
		f.Done()
		known.check(dataset)
		name := dataset.Filled()
		if taken[name] && name != "" {
			dataset.Fail("%q has an expression above: write one expression, with a ? b : c for alternatives", doc.Short(name))
		}
		taken[name] = true
		if uid == nil || uid.Kind != doc.Text {
			uid.Filled() // reports a value that is not a text
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

// deadLetters is the key in `redact` for the bodies of dead letters.
const deadLetters = "dead_letters"

// exposures are the values in `redact`. Fields that are not listed there have their credentials replaced.
var exposures = [...]string{"keep", "hash", "drop"}

// exposure returns the Exposure that the node names.
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

// redact reads how much of each field may leave the worker. A dead letter holds a whole record, so unless dead_letters is
// listed, dead letters get the strictest exposure of all listed fields.
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
			out.SetDeadLetters(x)
		case isField && field.Visible():
			out.SetField(field, x)
		case isRaw && !slices.Contains(strings.Split(path, "."), ""):
			out.SetRaw(strings.Split(path, "."), x)
		default:
			name.Fail("%q is not a field that findings can show: write a name of FIELDS.md, raw.PATH, or %s for records that cannot be decoded",
				doc.Short(text), deadLetters)
		}
	})
	if !dead {
		out.SetDeadLetters(out.Strictest())
	}
	return out
}
