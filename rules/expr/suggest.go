package expr

import (
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// unknownName returns the text of an issue for a name that does not exist, with a suggestion if a known name is similar.
func unknownName(kind, name string, known []string) string {
	if near := similar(name, known); near != "" {
		return fmt.Sprintf("there is no %s %s: did you mean %s?", kind, name, near)
	}
	if kind == "field" {
		return fmt.Sprintf("there is no field %s: schema/FIELDS.md lists them, raw.%s reads the original record", name, name)
	}
	if kind == "function" {
		return fmt.Sprintf("there is no function %s", name)
	}
	if len(known) == 0 {
		return fmt.Sprintf("there is no %s %s, nor any other", kind, name)
	}
	return fmt.Sprintf("there is no %s %s: there are %s", kind, name, strings.Join(known, ", "))
}

// similar returns the known name that was most likely meant by name, or "": a name that ends in name (gen_ai.tool.name for
// tool.name), or the nearest by spelling.
func similar(name string, known []string) string {
	for _, k := range known {
		if strings.HasSuffix(k, "."+name) {
			return k
		}
	}
	return doc.Nearest(strings.ToLower(name), known)
}
