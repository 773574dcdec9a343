package decode

import (
	"encoding/binary"
	"strings"
)

// frameHead is the length in bytes of what Confluent's serializers put before a message: a zero byte, and the schema's
// id in a registry, big-endian. Neither JSON, gzip nor the protobuf of telemetry begins with a zero byte.
const frameHead = 5

// isFramed looks at the first byte.
func isFramed(text string) bool { return len(text) > frameHead && text[0] == 0 }

// framed takes what stands behind a frame: JSON, or protobuf behind the place of its message in the schema. The schema
// itself is not needed: the formats that are read tell themselves.
func (d *Decoder) framed(text string, level int) {
	d.step(level, "schema registry frame")
	if !d.enter(level, text) {
		return
	}
	body := text[frameHead:]
	if start := strings.TrimLeft(body, " \t\r\n"); start != "" && (start[0] == '{' || start[0] == '[') {
		d.document(body, level+1)
		return
	}
	rest, ok := cutIndexes(body)
	if !ok {
		d.dead(ReasonMalformed, "behind the frame of a schema registry stands neither JSON nor protobuf: is it Avro?", text)
		return
	}
	d.document(rest, level+1)
}

// maxIndexes is how deep a message may be nested in its schema; no producer's is.
const maxIndexes = 16

// cutIndexes cuts the place of a protobuf message in its schema: how many indexes, then the indexes, each a zigzag
// varint. None stands for the schema's first message.
func cutIndexes(body string) (rest string, ok bool) {
	count, n := binary.Varint([]byte(body[:min(len(body), binary.MaxVarintLen64)]))
	if n <= 0 || count < 0 || count > maxIndexes {
		return "", false
	}
	for body = body[n:]; count > 0; count-- {
		index, n := binary.Varint([]byte(body[:min(len(body), binary.MaxVarintLen64)]))
		if n <= 0 || index < 0 {
			return "", false
		}
		body = body[n:]
	}
	return body, true
}
