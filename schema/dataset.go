package schema

import "time"

// How long after its event a record may reach its partition, where the configuration says nothing else.
const (
	DelayGateway = 30 * time.Second // gateways write a log line when the call is over
	DelayAudit   = 20 * time.Minute // cloud audit trails deliver in files, up to 15 min late by their own documentation
)

// DefaultDelay returns the delay of a dataset: the time within which its records are expected in Kafka.
func DefaultDelay(dataset string) time.Duration {
	switch dataset {
	case "aws.cloudtrail", "azure.activity", "azure.entra_signin", "gcp.audit", "github.audit", "okta.system",
		"m365.audit", "openai.audit", "anthropic.activity":
		return DelayAudit
	}
	return DelayGateway
}
