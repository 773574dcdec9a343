package cloud

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// setAddress sets source.ip from the first value that is an address, and reports whether there was one. A value that is
// neither a string nor a number is counted as a field error.
func setAddress(el *formats.Element, values ...formats.Node) bool {
	for _, n := range values {
		switch n.Kind {
		case scan.Absent, scan.Null:
		case scan.String, scan.Number:
			if el.SetSourceIP(el.Text(n), "") {
				return true
			}
		default:
			el.CountFault(schema.SourceIP)
		}
	}
	return false
}
