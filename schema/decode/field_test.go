package decode

import (
	"os"
	"strings"
	"testing"
)

// The binary inputs of the field: the others are in testdata/cases/decode/field_cloud.txtar and in the tests of the shipped
// maps.
func TestBinaryFieldInputs(t *testing.T) {
	f := func(file string, events int, dead string) {
		t.Helper()
		raw, err := os.ReadFile("../../testdata/field/" + file)
		if err != nil {
			t.Fatal(err)
		}
		res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, string(raw), Meta{})
		got := ""
		for _, d := range res.dead {
			got += d.Reason + ": " + d.Detail
		}
		if len(res.events) != events || !strings.Contains(got, dead) || dead == "" && got != "" {
			t.Errorf("%s: got %d events and %q, want %d and %q", file, len(res.events), got, events, dead)
		}
	}
	// Firehose: gzip of CloudWatch Logs of Fluent Bit's log of Envoy, twice, one after the other.
	f("49b-eks-fluentbit-cw-firehose.gz.bin", 2, "")
	f("29-avro-frame.bin", 0, "is it Avro?")
	raw := decodeAll(t, Options{Format: Auto, Wanted: everything()}, avroMagic+"\x04\x14avro.codec\x08null", Meta{})
	if len(raw.events) > 0 || len(raw.dead) != 1 || !strings.Contains(raw.dead[0].Detail, "Avro") {
		t.Errorf("a container of Avro: got %v", raw.dead)
	}
}
