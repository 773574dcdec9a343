package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/schema"
)

// A receiver reads the body as it was sent, verifies it, and only then decodes it. A message can arrive more than once:
// the receiver recognises it by its webhook-id. Any 2xx status acknowledges the message.
func ExampleVerifier_Verify() {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // both sides have it
	verifier, err := webhook.NewVerifier(secret)
	if err != nil {
		panic(err)
	}
	seen := map[string]bool{} // webhook-ids; a real receiver stores them
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, webhook.MaxBody))
		if err != nil {
			http.Error(w, "cannot read the body", http.StatusBadRequest)
			return
		}
		if err := verifier.Verify(r.Header, body, time.Now()); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		id := r.Header.Get(webhook.HeaderID)
		if seen[id] {
			fmt.Println("again:", id)
			return
		}
		seen[id] = true
		var message struct {
			Type connectors.EntryType
			Data schema.Finding
		}
		if err := json.Unmarshal(body, &message); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Printf("%s: %s (%s)\n", message.Type, message.Data.Title, message.Data.Severity)
	}))
	defer receiver.Close()

	sender, err := webhook.New(webhook.Config{
		Name: "soc", URL: receiver.URL, Secrets: []string{secret},
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, // the receiver is not at a public address
	})
	if err != nil {
		panic(err)
	}
	defer sender.Close()
	entries := []connectors.Entry{{Seq: 1, Type: connectors.FindingOpened, Finding: &schema.Finding{
		Revision: 1, Status: schema.StatusOpen, Title: "Agent reads a secret", Severity: schema.SeverityHigh,
	}}}
	for range 2 {
		if err := sender.Write(context.Background(), entries); err != nil {
			panic(err)
		}
	}
	// Output:
	// finding.opened: Agent reads a secret (high)
	// again: fnd_00000000-0000-0000-0000-000000000000_1_soc
}
