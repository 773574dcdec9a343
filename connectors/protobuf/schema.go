// Package protobuf converts messages of Protocol Buffers to JSON by the text of their schema, a .proto file. Every byte of a
// message may be hostile: size, depth, the number of values and the output are bounded, and no input panics.
//
// The JSON is plain. A key is the field's name in the schema, or its json_name if the schema gives one; the keys are in the
// order of the schema, and absent fields are left out. Numbers are numbers, also those of 64 bits, and an enum is its name.
// Bytes are base64. Of the well-known types, timestamps are RFC 3339 in UTC, a duration is a text such as 1.5s, wrappers are
// their value, and a Struct is an object.
package protobuf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// MaxSchema is the largest text of a schema with all that it imports, in bytes. Those of large APIs have 200 KB.
	MaxSchema = 1 << 20
	// MaxMessage is the largest message, in bytes.
	MaxMessage = 4 << 20
	// MaxValues is the largest number of values in a message, those inside other messages included. In memory a value takes up
	// to 200 bytes while it is converted.
	MaxValues = 1 << 18
	// MaxJSON is the largest JSON of one message, in bytes. A longer element is a dead letter of the decoder, too.
	MaxJSON = 16 << 20
	// maxDepth is the deepest nesting of messages. The decoder accepts no deeper JSON.
	maxDepth = 60
	// compileTime bounds the compilation of a schema.
	compileTime = 10 * time.Second
)

// The errors of a message. They are matched with errors.Is.
var (
	ErrSize    = errors.New("too large")
	ErrInvalid = errors.New("does not fit the schema")
)

// Schema is a compiled schema. It is safe for concurrent use.
type Schema struct{ file protoreflect.FileDescriptor }

// mainFile is the name of the schema itself while it is compiled.
const mainFile = "the schema"

// Parse compiles a schema. imports are the texts of the files that it may import, by the names it imports them with; those of
// google/protobuf and the two that Confluent's serializers have built in are known.
func Parse(text string, imports map[string]string) (s *Schema, err error) {
	var size atomic.Int64 // of all that is read
	defer func() {        // the text is of anyone who may register a schema
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("parse protobuf schema: %w", ErrInvalid)
		}
	}()
	open := func(name string) (io.ReadCloser, error) {
		source, ok := imports[name]
		if !ok {
			source, ok = builtIn[name]
		}
		if name == mainFile {
			source, ok = text, true
		}
		if !ok {
			return nil, fmt.Errorf("it imports %q, which the registry does not refer to", name)
		}
		if size.Add(int64(len(source))) > MaxSchema {
			return nil, fmt.Errorf("%w: the limit is %d bytes with all that it imports", ErrSize, MaxSchema)
		}
		return io.NopCloser(strings.NewReader(source)), nil
	}
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: open}),
		MaxParallelism: 1,
	}
	ctx, cancel := context.WithTimeout(context.Background(), compileTime)
	defer cancel()
	files, err := c.Compile(ctx, mainFile)
	if err != nil {
		return nil, fmt.Errorf("parse protobuf schema: %w", err)
	}
	return &Schema{files[0]}, nil
}

// builtIn holds the files that Confluent's serializers know without a reference.
var builtIn = map[string]string{
	"confluent/meta.proto": `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
`,
	"confluent/type/decimal.proto": `syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
`,
}

// Package returns the name of the schema's package.
func (s *Schema) Package() string { return string(s.file.Package()) }

// message returns the message at a position: the index of a message of the file, of a message in that, and so on. No index means
// the first message.
func (s *Schema) message(position []int) protoreflect.MessageDescriptor {
	if len(position) == 0 {
		position = []int{0}
	}
	var m protoreflect.MessageDescriptor
	list := s.file.Messages()
	for _, i := range position {
		if m = messageAt(list, i); m == nil {
			return nil
		}
		list = m.Messages()
	}
	return m
}

// messageAt returns the i-th message of a list. Like Confluent's own serializers for Java it does not count the messages that
// the compiler makes of maps; those for Go and Python do, which matters for messages inside a message with a map.
func messageAt(list protoreflect.MessageDescriptors, i int) protoreflect.MessageDescriptor {
	n := 0
	for at := range list.Len() {
		m := list.Get(at)
		if m.IsMapEntry() {
			continue
		}
		if n == i {
			return m
		}
		n++
	}
	if i >= 0 && i < list.Len() && !list.Get(i).IsMapEntry() {
		return list.Get(i)
	}
	return nil
}
