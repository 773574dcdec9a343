package schema

import "time"

// The delays of datasets for which the configuration sets none.
const (
	DelayGateway = 30 * time.Second // a gateway writes its log line when the call is over
	DelayAudit   = 20 * time.Minute // cloud audit trails are delivered in files, up to 15 min late by their own documentation
)

// DefaultDelay returns the delay of a dataset: the time within which a record reaches its partition after its event.
func DefaultDelay(dataset string) time.Duration {
	switch dataset {
	case "aws.cloudtrail", "azure.activity", "azure.defender", "azure.entra_signin", "azure.graph_activity", "gcp.audit", "github.audit", "okta.system",
		"m365.audit", "openai.audit", "anthropic.activity":
		return DelayAudit
	}
	return DelayGateway
}
