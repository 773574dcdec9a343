package decode_test

import (
	"fmt"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// A record holds any number of elements, here as lines. Each gives events or a dead letter.
func ExampleDecoder_Decode() {
	var wanted schema.Wanted
	wanted.Fields.Add(schema.EventAction)
	d, err := decode.New(decode.Options{Format: decode.Auto, Wanted: wanted})
	if err != nil {
		fmt.Println(err)
		return
	}
	record := `{"eventVersion":"1.11","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventTime":"2026-01-01T10:00:30Z",` +
		`"userIdentity":{"type":"AssumedRole","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::1:role/bot"}}}}` +
		"\n" + `{"no":"format"}`
	d.Decode(record, decode.Meta{Pos: schema.Position{Topic: "audit", Partition: 3, Offset: 42}}, &decode.Handler{
		Event: func(e *schema.Event) {
			fmt.Println(e.Text(schema.EventDataset), e.Text(schema.EventAction), "by", e.Text(schema.AIAgentUID))
		},
		Dead: func(dead decode.Dead) {
			fmt.Printf("element %d: %s: %s\n", dead.Index, dead.Reason, dead.Detail)
		},
	})
	// Output:
	// aws.cloudtrail s3:GetObject by arn:aws:iam::1:role/bot
	// element 1: unknown_format: no format has these top-level keys: "no"
}
