package cloud

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// setAddress sets source.ip from the first value that holds an address. A value that can hold none is counted.
func setAddress(r *formats.Record, values ...formats.Node) bool {
	for _, n := range values {
		switch n.Kind {
		case scan.Absent, scan.Null:
		case scan.String, scan.Number:
			if r.SetSource(r.Text(n), "") {
				return true
			}
		default:
			r.Fault(schema.SourceIP)
		}
	}
	return false
}
