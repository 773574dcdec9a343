package decode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// protobuf takes a text as OTLP in protobuf, which it decodes as the JSON that says the same; false where it is none. Its
// first byte is that of a line's end, with which JSON may begin too: a text whose first value is JSON is JSON.
func (d *Decoder) protobuf(text string, level int) bool {
	if !d.otlp || !strings.HasPrefix(text, "\n") {
		return false
	}
	if start := strings.TrimLeft(text, " \t\r\n"); start != "" && (start[0] == '{' || start[0] == '[') {
		if _, _, err := scan.Next(text, 0); err == nil {
			return false
		}
	}
	json, err := llm.AppendOTLP(d.json[:0], text, MaxRecord)
	d.json = json
	switch {
	case errors.Is(err, llm.ErrOTLPSize):
		d.dead(ReasonSize, fmt.Sprintf("OTLP of more than %d bytes as JSON", MaxRecord), text)
	case err != nil:
		return false
	default:
		d.document(d.record.Arena.Hold(json), level)
	}
	if cap(d.json) > maxKeptJSON {
		d.json = nil
	}
	return true
}

// maxKeptJSON is the most bytes of room for JSON that are kept for the next record, 1 MiB.
const maxKeptJSON = 1 << 20
