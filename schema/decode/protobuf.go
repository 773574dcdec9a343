package decode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// decodeProtobuf converts OTLP in protobuf to JSON and decodes that. It returns false if the text is not OTLP in
// protobuf. Such a request begins with the byte of a newline, and so may JSON: a text whose first value is JSON is
// taken as JSON.
func (d *Decoder) decodeProtobuf(text string, level int) bool {
	if !d.otlp || !strings.HasPrefix(text, "\n") {
		return false
	}
	if start := strings.TrimLeft(text, " \t\r\n"); start != "" && (start[0] == '{' || start[0] == '[') {
		if _, _, err := scan.Next(text, 0); err == nil {
			return false
		}
	}
	d.elem.Charge(len(text))
	json, err := llm.AppendOTLP(d.json[:0], text, MaxRecord)
	d.json = json
	switch {
	case errors.Is(err, llm.ErrOTLPSize):
		d.deadLetter(ReasonSize, fmt.Sprintf("OTLP of more than %d bytes as JSON", MaxRecord), text)
	case err != nil:
		return false
	default:
		d.decodeText(d.elem.Arena.Copy(json), level)
	}
	if cap(d.json) > maxKeptJSON {
		d.json = nil
	}
	return true
}

// maxKeptJSON is the capacity up to which the JSON buffer is kept for the next record, 1 MiB.
const maxKeptJSON = 1 << 20
