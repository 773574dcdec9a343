package clickhouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/aidr-engine/aidr/connectors"
)

// class is the meaning of an error for the rows that were being written.
type class int

const (
	classRetry  class = iota // the destination is unavailable or full; also unknown errors, because a retry loses nothing
	classRow                 // at least one row can never be stored
	classTable               // no row can be stored: the table lacks a column that the statement names
	classSchema              // the database or table is missing: migrate and try again
)

// Error codes of ClickHouse.
const (
	codeTooManyPartitions = 252
	codeUnknownTable      = 60
	codeUnknownDatabase   = 81
	codeAccessDenied      = 497
	codeAuthentication    = 516
)

// classify returns the class of the error of a write. For classRow and classTable it also returns the reason, one of
// connectors.Reason....
func classify(err error) (c class, reason string) {
	var e *clickhouse.Exception
	var op *clickhouse.OpError
	var block *proto.BlockError
	switch {
	case errors.As(err, &e):
		return classifyCode(e.Code)
	case errors.As(err, &op), errors.As(err, &block): // the client could not encode a value
		return classRow, connectors.ReasonTypeMismatch
	}
	return classRetry, ""
}

func classifyCode(code int32) (c class, reason string) {
	switch code {
	case codeUnknownTable, codeUnknownDatabase:
		return classSchema, ""
	case 8, 10, 16, 20, 47: // no such column, not found in block, wrong number of columns, unknown identifier
		return classTable, connectors.ReasonUnknownColumn
	case 53, 70, 117, 349: // type mismatch, cannot convert, incorrect data, NULL into an ordinary column
		return classRow, connectors.ReasonTypeMismatch
	case 6, 27, 38, 41, 72, 376: // cannot parse: text, assertion, date, time, number, UUID
		return classRow, connectors.ReasonTypeMismatch
	case 69, 128, 131, 190, 321, 407, 691: // out of bound, array or string too large, sizes differ, out of range, decimal, enum
		return classRow, connectors.ReasonOutOfRange
	case 469: // a constraint that the operator added to the table
		return classRow, connectors.ReasonViolatedConstraint
	}
	return classRetry, ""
}

// withAdvice adds advice for the operator to an error. The result contains no secrets: errors of the client
// name hosts, users and queries only.
func withAdvice(err error, user string) error {
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case codeAccessDenied:
		return fmt.Errorf("user %q lacks a grant: ask an administrator to run: GRANT %s TO %s: %w", user, missingGrant(e.Message), user, err)
	case codeAuthentication:
		return fmt.Errorf("user %q was refused: check user and password of the dsn: %w", user, err)
	case codeUnknownTable, codeUnknownDatabase:
		return fmt.Errorf("the schema is missing: run `aidr migrate`: %w", err)
	}
	return err
}

// missingGrant extracts the grant from a message of the server such as "Not enough privileges. To execute this query, it's
// necessary to have the grant CREATE DATABASE ON aidr.*".
func missingGrant(message string) string {
	_, grant, ok := strings.Cut(message, "have the grant ")
	if !ok {
		return "(see the message)"
	}
	grant, _, _ = strings.Cut(grant, ". ")
	return strings.TrimSuffix(strings.TrimSpace(grant), ".")
}
