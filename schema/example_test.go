package schema_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// A worker fills one Event for record after record.
func ExampleEvent() {
	var e schema.Event
	e.SetText(schema.EventDataset, "litellm")
	e.SetText(schema.EventClass, "llm")
	e.SetText(schema.EventAction, "chat")
	e.SetTime(schema.Time, time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC).UnixNano())
	e.SetInt(schema.EventDuration, int64(30*time.Second))
	e.SetText(schema.UserName, "") // absent means absent

	end, _ := e.End()
	fmt.Println(e.Text(schema.EventAction), e.Has(schema.UserName))
	fmt.Println("over at", schema.Instant(end))
	for f := range e.Present().All {
		fmt.Println(f)
	}
	// Output:
	// chat false
	// over at 2026-01-01T10:00:30Z
	// time
	// event.duration
	// event.dataset
	// event.class
	// event.action
}

// The identity is based on the producer's id, if there is one, and else on the text of the record.
func ExampleEvent_Identity() {
	e := schema.Event{Record: `{"eventID":"7f3c","eventName":"GetObject"}`}
	e.SetText(schema.EventDataset, "aws.cloudtrail")
	fmt.Println(e.Identity(), e.Counted())
	e.SetText(schema.EventID, "7f3c")
	fmt.Println(e.Identity(), e.Counted())
	e.Place = 1 // the second event of this id
	fmt.Println(e.Identity(), e.Counted())
	// Output:
	// 7ee95eea-f668-f1e4-2d1f-64e35a2bf77b false
	// e59ee26c-2abb-ddce-7cf1-44a74cf8f080 true
	// 0b406715-c14a-48cc-b173-4f33c8738ecf true
}

func ExampleInstant() {
	read := schema.InstantOf(time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC))
	watermark := read.Sub(schema.DefaultDelay("aws.cloudtrail"))
	fmt.Println(watermark)
	fmt.Println(time.Duration(read.Since(watermark)))
	fmt.Println(read.Reached(watermark, 20*time.Minute), read.Reached(watermark, time.Hour))
	fmt.Println(schema.MaxInstant.Add(time.Hour) == schema.MaxInstant)
	b, _ := json.Marshal(watermark)
	fmt.Println(string(b))
	// Output:
	// 2026-01-01T09:40:00Z
	// 20m0s
	// true false
	// true
	// "2026-01-01T09:40:00Z"
}

// The exposure of a field limits its use in findings, State and dead letters; rules see every value unchanged.
func ExampleRedaction() {
	var r schema.Redaction
	r.SetField(schema.UserEmail, schema.Hashed)
	r.SetRaw([]string{"request", "body"}, schema.Dropped)
	fmt.Println(r.Field(schema.UserEmail).Expose("ann@example.com", nil))
	fmt.Printf("%q\n", r.Raw([]string{"request"}).Expose(`{"body":"a secret"}`, nil)) // contains the body
	fmt.Println(r.Field(schema.UserName).Expose("ann", nil))
	// Output:
	// sha256:71d4f55f72fa128dfb468a1a3901507c
	// ""
	// ann
}

func ExampleSeverity_Rank() {
	fmt.Println(schema.SeverityHigh.Rank() > schema.SeverityLow.Rank(), schema.Severity("fatal").Rank())
	// Output: true -1
}

func ExampleTruncate() {
	fmt.Println(schema.Truncate("5 €", 4)) // the sign has 3 bytes, of which only 2 fit
	// Output: 5
}

// A flat value contains its own length, so several values can follow each other.
func ExampleAppendValue() {
	flat := schema.AppendValue(nil, schema.StringValue("gpt-4o"))
	flat = schema.AppendValue(flat, schema.IntValue(17))
	first, flat, _ := schema.ReadValue(flat)
	second, flat, _ := schema.ReadValue(flat)
	fmt.Println(first.Text, second.Int(), len(flat))
	// Output: gpt-4o 17 0
}

func ExampleField_Info() {
	info := schema.CredentialUID.Info()
	fmt.Println(info.Name, "is", info.OCSF, "in OCSF")
	fmt.Println(info.Doc)
	// Output:
	// credential.uid is actor.user.credential_uid in OCSF
	// Key id, or hex of the SHA-256 of the secret; never the secret.
}
