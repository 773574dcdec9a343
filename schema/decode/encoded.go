package decode

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema/scan"
)

// decodeBase64 decodes the base64 in the value of the named key.
func (d *Decoder) decodeBase64(src string, outer, v scan.Span, name string, level int) {
	if !d.enter(level, src[outer.Start:outer.End]) {
		return
	}
	text, ok := fromBase64(scan.Text(src, v, &d.elem.Arena))
	if !ok {
		d.deadLetter(ReasonMalformed, name+" is not base64", src[outer.Start:outer.End])
		return
	}
	d.decodeText(text, level+1)
}

// isGzip reports whether the text begins with gzip's magic number. JSON never does.
func isGzip(text string) bool { return strings.HasPrefix(text, "\x1f\x8b") }

// decodeGzip inflates a gzip stream and decodes its contents. It is not a level, unless it holds gzip again. All that one record inflates to must stay within
// MaxRecord.
func (d *Decoder) decodeGzip(text string, level int) {
	if level < len(d.trail) {
		d.trail[level].gzip = true
		defer func() { d.trail[level].gzip = false }()
	}
	var out bytes.Buffer
	stream, err := gzip.NewReader(strings.NewReader(text))
	if err == nil {
		_, err = io.Copy(&out, io.LimitReader(stream, int64(MaxRecord-d.inflated)+1))
	}
	d.inflated += out.Len()
	d.elem.Charge(gzipCost)
	switch {
	case d.inflated > MaxRecord:
		d.deadLetter(ReasonSize, fmt.Sprintf("gzip holds more than %d bytes", MaxRecord), text)
	case err != nil:
		d.deadLetter(ReasonMalformed, fmt.Sprintf("inflate gzip: %v", err), text)
	case isGzip(out.String()):
		if d.noteEnvelope(level, "gzip"); d.enter(level, text) {
			d.decodeText(out.String(), level+1)
		}
	default:
		d.decodeText(out.String(), level)
	}
}

// gzipCost is the cost of a gzip stream beside that of its contents: the tables of the decompressor, 40 KB, are allocated
// for each.
const gzipCost = 32 << 10

// frameHead is the length in bytes of the frame that Confluent's serializers put before a message: a zero byte and the
// schema's id in a registry, big-endian. JSON, gzip and telemetry in protobuf never begin with a zero byte.
const frameHead = 5

// isFramed reports whether the text begins with a frame. Five bytes of zero are no frame but the beginning of a run of NUL,
// because registries count schemas from 1.
func isFramed(text string) bool {
	return len(text) > frameHead && text[0] == 0 && text[:frameHead] != "\x00\x00\x00\x00\x00"
}

// avroMagic begins a container file of Avro.
const avroMagic = "Obj\x01"

// isUTF16 reports whether a text begins with a byte order mark of UTF-16. Neither UTF-8 nor gzip nor protobuf does.
func isUTF16(text string) bool {
	return strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff")
}

// decodeUTF16 converts a text in UTF-16, as Windows writes it, and decodes it. Half a character becomes the replacement
// character and is counted.
func (d *Decoder) decodeUTF16(text string, level int) {
	order := binary.ByteOrder(binary.LittleEndian)
	if text[0] == 0xfe {
		order = binary.BigEndian
	}
	units := make([]uint16, 0, len(text)/2)
	for at := 2; at+1 < len(text); at += 2 {
		units = append(units, order.Uint16([]byte(text[at:at+2])))
	}
	d.inflated += len(text) / 2
	if d.inflated > MaxRecord {
		d.deadLetter(ReasonSize, fmt.Sprintf("UTF-16 holds more than %d bytes", MaxRecord), text)
		return
	}
	plain := string(utf16.Decode(units))
	outer := d.mended
	if len(text)%2 != 0 || strings.ContainsRune(plain, utf8.RuneError) && !slices.Contains(units, utf8.RuneError) {
		d.mended |= mendedEncoding
	}
	d.decodeText(plain, level)
	d.mended = outer
}

// decodeEncoded decodes a text that holds a record in one of these forms: JSON, a line with JSON at its end, or base64 of
// JSON or gzip. It returns false for any other text. Whether the text is a workload's is the caller's to know.
func (d *Decoder) decodeEncoded(src string, v scan.Span, name string, level int) bool {
	if v.Kind != scan.String {
		return false
	}
	d.noteEnvelope(level, name)
	if d.decodeInner(src, v, level) {
		return true
	}
	text, ok := fromBase64(scan.Text(src, v, &d.elem.Arena))
	if !ok || !isGzip(text) && !d.looksLikeRecord(text) {
		return false
	}
	if d.enter(level, src[v.Start:v.End]) {
		d.decodeText(text, level+1)
	}
	return true
}

// looksLikeRecord reports whether a text begins with JSON that may be a record, or with a prefix before it.
func (d *Decoder) looksLikeRecord(text string) bool {
	start := skipSeparators(text, 0)
	if beginsJSON(text[start:]) {
		return true
	}
	return d.isRecordLine(firstLine(text[start:]))
}

// beginsJSON reports whether a text begins with an object, an array, or a string that holds one.
func beginsJSON(text string) bool {
	switch {
	case text == "":
		return false
	case text[0] == '{' || text[0] == '[':
		return true
	}
	return len(text) > 1 && text[0] == '"' && strings.IndexByte(`{[\`, text[1]) >= 0
}

// fromBase64 decodes base64 in either alphabet, with or without padding.
func fromBase64(text string) (string, bool) {
	encoding := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.URLEncoding // Pub/Sub's clients write either encoding
	}
	raw, err := encoding.WithPadding(base64.NoPadding).DecodeString(strings.TrimRight(text, "=\r\n"))
	return string(raw), err == nil
}

// decodeFramed decodes a framed message: JSON, or protobuf after the position of its message in the schema. The schema
// is not needed, because the formats are recognised by their contents.
func (d *Decoder) decodeFramed(text string, level int) {
	d.noteEnvelope(level, "schema registry frame")
	if !d.enter(level, text) {
		return
	}
	body := text[frameHead:]
	if start := strings.TrimLeft(body, " \t\r\n"); start != "" && (start[0] == '{' || start[0] == '[') {
		d.decodeText(body, level+1)
		return
	}
	_, rest, ok := scan.ProtoPosition(nil, body)
	if !ok {
		const detail = "the frame of a schema registry is followed by neither JSON nor protobuf: is it Avro? " +
			"Give the source a registry (kafka.registry)"
		d.deadLetter(ReasonMalformed, detail, text)
		return
	}
	d.decodeText(rest, level+1)
}
