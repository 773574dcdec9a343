package clickhouse

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// responseColumn is a column of the table responses.
type responseColumn struct {
	name  string
	value func(*schema.ResponseRecord) any
}

// responseColumns lists the columns of the table responses. It is not changed at run time. A test compares it with the table
// that the migrations create.
var responseColumns = [...]responseColumn{
	{"id", func(r *schema.ResponseRecord) any { return uuid.UUID(r.ID) }},
	{"version", func(r *schema.ResponseRecord) any { return r.Version }},
	{"key", func(r *schema.ResponseRecord) any { return r.Key }},
	{"status", func(r *schema.ResponseRecord) any { return string(r.Status) }},
	{"stage", func(r *schema.ResponseRecord) any { return string(r.Stage) }},
	{"scope", func(r *schema.ResponseRecord) any { return string(r.Scope) }},
	{"tenant", func(r *schema.ResponseRecord) any { return r.Target.Tenant }},
	{"agent_uid", func(r *schema.ResponseRecord) any { return r.Target.Agent }},
	{"session_id", func(r *schema.ResponseRecord) any { return r.Target.Session }},
	{"credential_uid", func(r *schema.ResponseRecord) any { return r.Target.Credential }},
	{"tool", func(r *schema.ResponseRecord) any { return r.Target.Tool }},
	{"mcp_server", func(r *schema.ResponseRecord) any { return r.Target.Server }},
	{"route", func(r *schema.ResponseRecord) any { return r.Target.Route }},
	{"aliases", func(r *schema.ResponseRecord) any { return r.Aliases }},
	{"credentials", func(r *schema.ResponseRecord) any { return r.Credentials }},
	{"spared", func(r *schema.ResponseRecord) any {
		return each(r.Spared, func(s *schema.SharedWith) string { return s.Credential })
	}},
	{"state", func(r *schema.ResponseRecord) any { return string(r.State) }},
	{"mode", func(r *schema.ResponseRecord) any { return string(r.Mode) }},
	{"per_minute", func(r *schema.ResponseRecord) any { return uint32(r.PerMinute) }},
	{"since", func(r *schema.ResponseRecord) any { return timeOf(r.Since) }},
	{"until", func(r *schema.ResponseRecord) any { return timeOf(r.Until) }},
	{"ended", func(r *schema.ResponseRecord) any { return optionalTime(r.Ended) }},
	{"reason", func(r *schema.ResponseRecord) any { return r.Reason }},
	{"why", func(r *schema.ResponseRecord) any { return r.Why }},
	{"finding_id", func(r *schema.ResponseRecord) any {
		if r.FindingID.IsZero() {
			return (*uuid.UUID)(nil)
		}
		id := uuid.UUID(r.FindingID)
		return &id
	}},
	{"rule_id", func(r *schema.ResponseRecord) any { return r.RuleID }},
	{"requested_by", func(r *schema.ResponseRecord) any { return r.By }},
	{"ended_by", func(r *schema.ResponseRecord) any { return r.EndedBy }},
	{"automatic", func(r *schema.ResponseRecord) any { return r.Automatic }},
	{"denials", func(r *schema.ResponseRecord) any { return uint64(r.Proof.Denials) }},
	{"successes", func(r *schema.ResponseRecord) any { return uint64(r.Proof.Successes) }},
	{"last_denial", func(r *schema.ResponseRecord) any { return optionalTime(r.Proof.LastDenial) }},
	{"last_success", func(r *schema.ResponseRecord) any { return optionalTime(r.Proof.LastSuccess) }},
	{"verified_at", func(r *schema.ResponseRecord) any { return optionalTime(r.Proof.VerifiedAt) }},
	{"failed_at", func(r *schema.ResponseRecord) any { return optionalTime(r.Proof.FailedAt) }},
	{"proof.source", proofOf(func(s *schema.ProofSource) string { return s.Source })},
	{"proof.dataset", proofOf(func(s *schema.ProofSource) string { return s.Dataset })},
	{"proof.route", proofOf(func(s *schema.ProofSource) string { return s.Route })},
	{"proof.denials", proofOf(func(s *schema.ProofSource) uint64 { return uint64(s.Denials) })},
	{"proof.successes", proofOf(func(s *schema.ProofSource) uint64 { return uint64(s.Successes) })},
	{"receipt.point", receiptOf(func(r *schema.Receipt) string { return r.Point })},
	{"receipt.refused", receiptOf(func(r *schema.Receipt) uint64 { return uint64(r.Refused) })},
	{"receipt.allowed", receiptOf(func(r *schema.Receipt) uint64 { return uint64(r.Allowed) })},
	{"receipt.last", receiptOf(func(r *schema.Receipt) time.Time { return timeOf(r.Last) })},
	{"history.time", historyOf(func(h *schema.ResponseChange) time.Time { return timeOf(h.Time) })},
	{"history.action", historyOf(func(h *schema.ResponseChange) string { return h.Action })},
	{"history.by", historyOf(func(h *schema.ResponseChange) string { return h.By })},
	{"history.reason", historyOf(func(h *schema.ResponseChange) string { return h.Reason })},
}

func proofOf[T any](field func(*schema.ProofSource) T) func(*schema.ResponseRecord) any {
	return func(r *schema.ResponseRecord) any { return each(r.Proof.Sources, field) }
}

func receiptOf[T any](field func(*schema.Receipt) T) func(*schema.ResponseRecord) any {
	return func(r *schema.ResponseRecord) any { return each(r.Receipts, field) }
}

func historyOf[T any](field func(*schema.ResponseChange) T) func(*schema.ResponseRecord) any {
	return func(r *schema.ResponseRecord) any { return each(r.History, field) }
}

// optionalTime returns a time that may be absent. Event times come from logs: one that the column cannot hold is absent too, because
// the rest of the row counts more.
func optionalTime(t schema.Instant) *time.Time {
	if t == 0 || checkTime("", t) != nil {
		return nil
	}
	at := timeOf(t)
	return &at
}

// responseRowsOf converts entries of responses into rows. Entries that can never be a row are returned as poison.
func responseRowsOf(entries []connectors.Entry) (out []row, poison []connectors.Undelivered) {
	for i := range entries {
		e := &entries[i]
		if e.Response == nil {
			continue
		}
		body, err := json.Marshal(e.Response)
		if err == nil {
			err = checkResponse(e.Response)
		}
		if err != nil {
			poison = append(poison, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: connectors.ReasonOutOfRange, Detail: err.Error()})
			continue
		}
		values := make([]any, len(responseColumns))
		for k := range responseColumns {
			values[k] = responseColumns[k].value(e.Response)
		}
		var seq [8]byte
		binary.BigEndian.PutUint64(seq[:], e.Seq)
		out = append(out, row{e, values, sha256.Sum256(append(seq[:], body...))})
	}
	return out, poison
}

// checkResponse reports values that the types of the columns cannot hold.
func checkResponse(r *schema.ResponseRecord) error {
	if r.State.Rank() < 0 {
		return fmt.Errorf("state %q: want one of %v", r.State, schema.ContainmentStates())
	}
	for _, t := range [...]struct {
		name string
		at   schema.Instant
	}{{"since", r.Since}, {"until", r.Until}} {
		if err := checkTime(t.name, t.at); err != nil {
			return err
		}
	}
	return nil
}
