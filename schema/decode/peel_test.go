package decode

import (
	"strings"
	"testing"
)

// confluent adds the frame of Confluent's serializers to a message.
func confluent(indexes, body string) string { return "\x00\x00\x00\x01\x02" + indexes + body }

func TestFrames(t *testing.T) {
	const garbled = "\x12\x34\x56"
	cases := []struct {
		name, record string
		events       int
		dead         string
	}{
		{"JSON", confluent("", small), 1, ""},
		{"JSON after white space", confluent("", " \n"+small), 1, ""},
		{"an array", confluent("", "["+small+","+small+"]"), 2, ""},
		{"an envelope", confluent("", `{"records":[`+small+`]}`), 1, ""},
		{"gzip around it", gzipped(t, confluent("", small)), 1, ""},
		{"the first message of a schema", confluent("\x00", small), 1, ""}, // its body is read like any other
		{"a nested message of a schema", confluent("\x04\x02\x00", small), 1, ""},
		{"Avro", confluent("", "\x31"+garbled), 0, ReasonMalformed},
		{"a negative count of indexes", confluent("\x01", small), 0, ReasonMalformed},
		{"a count without indexes", confluent("\x06\x02", ""), 0, ReasonMalformed},
		{"an absurd count", confluent("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", small), 0, ReasonMalformed},
		{"a count that does not end", confluent(strings.Repeat("\xff", 20), ""), 0, ReasonMalformed},
		{"a head alone", "\x00\x00\x00\x01\x02", 0, ReasonMalformed},
		{"a frame in frames", strings.Repeat(confluent("\x00", ""), MaxEnvelope) + small, 1, ""},
		{"a frame too many", strings.Repeat(confluent("\x00", ""), MaxEnvelope+1) + small, 0, ReasonDepth},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, c.record, Meta{})
			dead := ""
			for _, d := range res.dead {
				dead += d.Reason
			}
			if len(res.events) != c.events || dead != c.dead {
				t.Errorf("got %d events and dead letters %v, want %d and %q", len(res.events), res.dead, c.events, c.dead)
			}
		})
	}
}
