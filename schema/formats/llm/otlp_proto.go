package llm

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The errors of AppendOTLP.
var (
	ErrNotOTLP  = errors.New("not OTLP in protobuf")
	ErrOTLPSize = errors.New("too large as JSON")
)

// protoKind is the type of a field, which decides how OTLP's JSON writes its value.
type protoKind uint8

const (
	protoText    protoKind = iota
	protoID                // bytes, in hex; protoMember.size of them, or none
	protoBase64            // bytes, in base64
	protoFixed64           // a decimal number in a string
	protoFixed32           // a number
	protoInt64             // a decimal number in a string, signed
	protoEnum              // a number, signed
	protoBool
	protoDouble
	protoMessage
	protoList  // of messages; this and the next may occur more than once
	protoTexts // a list of texts
)

// protoMember describes one field of a message.
type protoMember struct {
	number int
	name   string
	kind   protoKind
	sub    protoType // of the messages of a protoMessage or protoList
	size   int       // of a protoID, in bytes
}

// protoType identifies one of OTLP's messages.
type protoType uint8

const (
	typeTraces protoType = iota
	typeLogs
	typeResourceSpans
	typeResourceLogs
	typeResource
	typeScopeSpans
	typeScopeLogs
	typeScope
	typeSpan
	typeSpanEvent
	typeSpanLink
	typeEntityRef
	typeStatus
	typeLogRecord
	typeKeyValue
	typeAnyValue
	typeArray
	typeKeyValueList
	numProtoTypes
)

// protoMembers are the fields that are read of each message, in the order in which the JSON has them. Others are skipped.
var protoMembers = [numProtoTypes][]protoMember{
	typeTraces: {{number: 1, name: "resourceSpans", kind: protoList, sub: typeResourceSpans}},
	typeLogs:   {{number: 1, name: "resourceLogs", kind: protoList, sub: typeResourceLogs}},
	typeResourceSpans: {
		{number: 1, name: "resource", kind: protoMessage, sub: typeResource},
		{number: 2, name: "scopeSpans", kind: protoList, sub: typeScopeSpans},
		{number: 3, name: "schemaUrl"},
	},
	typeResourceLogs: {
		{number: 1, name: "resource", kind: protoMessage, sub: typeResource},
		{number: 2, name: "scopeLogs", kind: protoList, sub: typeScopeLogs},
		{number: 3, name: "schemaUrl"},
	},
	typeResource: {
		{number: 1, name: "attributes", kind: protoList, sub: typeKeyValue},
		{number: 3, name: "entityRefs", kind: protoList, sub: typeEntityRef},
	},
	typeEntityRef: {
		{number: 1, name: "schemaUrl"},
		{number: 2, name: "type"},
		{number: 3, name: "idKeys", kind: protoTexts},
		{number: 4, name: "descriptionKeys", kind: protoTexts},
	},
	typeScopeSpans: {
		{number: 1, name: "scope", kind: protoMessage, sub: typeScope},
		{number: 2, name: "spans", kind: protoList, sub: typeSpan},
		{number: 3, name: "schemaUrl"},
	},
	typeScopeLogs: {
		{number: 1, name: "scope", kind: protoMessage, sub: typeScope},
		{number: 2, name: "logRecords", kind: protoList, sub: typeLogRecord},
		{number: 3, name: "schemaUrl"},
	},
	typeScope: {
		{number: 1, name: "name"},
		{number: 2, name: "version"},
		{number: 3, name: "attributes", kind: protoList, sub: typeKeyValue},
	},
	typeSpan: {
		{number: 1, name: "traceId", kind: protoID, size: 16},
		{number: 2, name: "spanId", kind: protoID, size: 8},
		{number: 3, name: "traceState"},
		{number: 4, name: "parentSpanId", kind: protoID, size: 8},
		{number: 5, name: "name"},
		{number: 6, name: "kind", kind: protoEnum},
		{number: 7, name: "startTimeUnixNano", kind: protoFixed64},
		{number: 8, name: "endTimeUnixNano", kind: protoFixed64},
		{number: 9, name: "attributes", kind: protoList, sub: typeKeyValue},
		{number: 11, name: "events", kind: protoList, sub: typeSpanEvent},
		{number: 13, name: "links", kind: protoList, sub: typeSpanLink},
		{number: 15, name: "status", kind: protoMessage, sub: typeStatus},
		{number: 16, name: "flags", kind: protoFixed32},
	},
	typeSpanLink: {
		{number: 1, name: "traceId", kind: protoID, size: 16},
		{number: 2, name: "spanId", kind: protoID, size: 8},
		{number: 3, name: "traceState"},
		{number: 4, name: "attributes", kind: protoList, sub: typeKeyValue},
		{number: 6, name: "flags", kind: protoFixed32},
	},
	typeSpanEvent: {
		{number: 1, name: "timeUnixNano", kind: protoFixed64},
		{number: 2, name: "name"},
		{number: 3, name: "attributes", kind: protoList, sub: typeKeyValue},
	},
	typeStatus: {
		{number: 2, name: "message"},
		{number: 3, name: "code", kind: protoEnum},
	},
	typeLogRecord: {
		{number: 1, name: "timeUnixNano", kind: protoFixed64},
		{number: 11, name: "observedTimeUnixNano", kind: protoFixed64},
		{number: 2, name: "severityNumber", kind: protoEnum},
		{number: 3, name: "severityText"},
		{number: 5, name: "body", kind: protoMessage, sub: typeAnyValue},
		{number: 6, name: "attributes", kind: protoList, sub: typeKeyValue},
		{number: 8, name: "flags", kind: protoFixed32},
		{number: 9, name: "traceId", kind: protoID, size: 16},
		{number: 10, name: "spanId", kind: protoID, size: 8},
		{number: 12, name: "eventName"},
	},
	typeKeyValue: {
		{number: 1, name: "key"},
		{number: 2, name: "value", kind: protoMessage, sub: typeAnyValue},
	},
	typeAnyValue: {
		{number: 1, name: "stringValue"},
		{number: 2, name: "boolValue", kind: protoBool},
		{number: 3, name: "intValue", kind: protoInt64},
		{number: 4, name: "doubleValue", kind: protoDouble},
		{number: 5, name: "arrayValue", kind: protoMessage, sub: typeArray},
		{number: 6, name: "kvlistValue", kind: protoMessage, sub: typeKeyValueList},
		{number: 7, name: "bytesValue", kind: protoBase64},
	},
	typeArray:        {{number: 1, name: "values", kind: protoList, sub: typeAnyValue}},
	typeKeyValueList: {{number: 1, name: "values", kind: protoList, sub: typeKeyValue}},
}

// maxProtoDepth limits the nesting of messages. It keeps the JSON within the scanner's depth, and no real value is
// nested as deeply.
const maxProtoDepth = 48

// maxProtoMembers is the largest number of fields of one message in protoMembers.
const maxProtoMembers = 13

// AppendOTLP appends to dst, as OTLP's JSON of at most limit bytes, an export request in protobuf, of spans or of log
// records. It is strict, so that no other text is taken for such a request: the whole of src must be one request with
// at least one span or log record, ids must have their sizes, texts must be UTF-8, and fields that are not lists must
// occur at most once. If src is not a request, the error is ErrNotOTLP.
func AppendOTLP(dst []byte, src string, limit int) ([]byte, error) {
	from := len(dst)
	for _, kind := range [...]protoType{typeTraces, typeLogs} {
		t := transcoder{limit: limit}
		out, err := t.message(dst[:from], kind, src, 0)
		if err == nil && t.elements > 0 {
			return out, nil
		}
		if errors.Is(err, ErrOTLPSize) {
			return dst, err
		}
	}
	return dst, ErrNotOTLP
}

// transcoder is the state of one run of AppendOTLP.
type transcoder struct {
	limit, elements int
}

// message appends the message in src as a JSON object.
func (t *transcoder) message(dst []byte, kind protoType, src string, depth int) ([]byte, error) {
	if depth > maxProtoDepth {
		return dst, ErrNotOTLP
	}
	members := protoMembers[kind]
	var found [maxProtoMembers]scan.ProtoField
	var seen [maxProtoMembers]bool
	alternatives := 0
	for at := 0; at < len(src); {
		f, next, ok := scan.NextProto(src, at)
		if !ok {
			return dst, ErrNotOTLP
		}
		if i := memberOf(members, f.Number); i >= 0 {
			if f.Wire != wireOf(members[i].kind) || seen[i] && members[i].kind < protoList {
				return dst, ErrNotOTLP
			}
			if !seen[i] {
				found[i], seen[i] = f, true
				alternatives++
			}
		}
		at = next
	}
	if kind == typeAnyValue && alternatives > 1 {
		return dst, ErrNotOTLP // parsers disagree about which of them counts
	}
	if kind == typeSpan || kind == typeLogRecord {
		t.elements++
	}
	dst = append(dst, '{')
	from := len(dst)
	for i := range members {
		if !seen[i] {
			continue
		}
		if len(dst) > from {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), members[i].name...), '"', ':')
		var err error
		if dst, err = t.member(dst, &members[i], src, found[i], depth); err != nil {
			return dst, err
		}
	}
	if len(dst) > t.limit {
		return dst, ErrOTLPSize
	}
	return append(dst, '}'), nil
}

// memberOf returns the index of the field with this number, or -1 if it is not read.
func memberOf(members []protoMember, number int) int {
	for i := range members {
		if members[i].number == number {
			return i
		}
	}
	return -1
}

// wireOf returns the wire type of the fields of a kind.
func wireOf(kind protoKind) scan.ProtoWire {
	switch kind {
	case protoFixed64, protoDouble:
		return scan.ProtoFixed64
	case protoFixed32:
		return scan.ProtoFixed32
	case protoInt64, protoEnum, protoBool:
		return scan.ProtoVarint
	}
	return scan.ProtoBytes
}

// member appends the value of one field. Of a list, it appends all values, of which f is the first.
func (t *transcoder) member(dst []byte, m *protoMember, src string, f scan.ProtoField, depth int) ([]byte, error) {
	switch m.kind {
	case protoMessage:
		return t.message(dst, m.sub, src[f.Start:f.End], depth+1)
	case protoList, protoTexts:
		return t.list(dst, m, src, f, depth)
	case protoText:
		return appendProtoText(dst, src[f.Start:f.End])
	case protoID:
		if size := f.End - f.Start; size != 0 && size != m.size {
			return dst, ErrNotOTLP
		}
	}
	return appendScalar(dst, m.kind, src, f), nil
}

func appendProtoText(dst []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return dst, ErrNotOTLP
	}
	return formats.AppendString(dst, text), nil
}

// list appends the messages or texts of a repeated field, of which f is the first.
func (t *transcoder) list(dst []byte, m *protoMember, src string, f scan.ProtoField, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for at := f.End; ; {
		var err error
		if m.kind == protoTexts {
			dst, err = appendProtoText(dst, src[f.Start:f.End])
		} else {
			dst, err = t.message(dst, m.sub, src[f.Start:f.End], depth+1)
		}
		if err != nil {
			return dst, err
		}
		found := false
		for !found && at < len(src) {
			f, at, _ = scan.NextProto(src, at) // does not fail: message has already parsed it
			found = f.Number == m.number
		}
		if !found {
			return append(dst, ']'), nil
		}
		dst = append(dst, ',')
	}
}

// appendScalar appends a value as OTLP's JSON writes it.
func appendScalar(dst []byte, kind protoKind, src string, f scan.ProtoField) []byte {
	switch kind {
	case protoBool:
		return strconv.AppendBool(dst, f.Value != 0)
	case protoEnum:
		return strconv.AppendInt(dst, int64(int32(f.Value)), 10)
	case protoFixed32:
		return strconv.AppendUint(dst, f.Value, 10)
	case protoDouble:
		return appendProtoDouble(dst, math.Float64frombits(f.Value))
	}
	dst = append(dst, '"')
	switch kind {
	case protoFixed64:
		dst = strconv.AppendUint(dst, f.Value, 10)
	case protoInt64:
		dst = strconv.AppendInt(dst, int64(f.Value), 10)
	case protoID:
		dst = hex.AppendEncode(dst, []byte(src[f.Start:f.End]))
	case protoBase64:
		dst = base64.StdEncoding.AppendEncode(dst, []byte(src[f.Start:f.End]))
	}
	return append(dst, '"')
}

// appendProtoDouble appends a number. NaN and the infinities, which are not JSON numbers, are written as protobuf's
// JSON does.
func appendProtoDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}
