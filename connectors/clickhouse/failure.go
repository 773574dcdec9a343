package clickhouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// class is what an error means for the rows that were being written.
type class int

const (
	classRetry  class = iota // the destination is away or full; what nobody has classified is here, since it loses nothing
	classRow                 // at least one row can never go in
	classTable               // no row can: the table lacks what the statement names
	classSchema              // database or table is not there: migrate, then again
)

// ClickHouse's error codes that are looked at.
const (
	codeTooManyPartitions = 252
	codeUnknownTable      = 60
	codeUnknownDatabase   = 81
	codeAccessDenied      = 497
	codeAuthentication    = 516
)

// classify returns the class of an error of a write, and for the two that are about rows a short reason.
func classify(err error) (class, string) {
	var e *clickhouse.Exception
	var op *clickhouse.OpError
	var block *proto.BlockError
	switch {
	case errors.As(err, &e):
		return classifyCode(e.Code)
	case errors.As(err, &op), errors.As(err, &block): // the client could not make a column of it
		return classRow, "type_mismatch"
	}
	return classRetry, ""
}

func classifyCode(code int32) (class, string) {
	switch code {
	case codeUnknownTable, codeUnknownDatabase:
		return classSchema, ""
	case 8, 10, 16, 20, 47: // no such column, not found in block, number of columns, unknown identifier
		return classTable, "unknown_column"
	case 53, 70, 117, 349: // type mismatch, cannot convert, incorrect data, NULL into an ordinary column
		return classRow, "type_mismatch"
	case 6, 27, 38, 41, 72, 376: // cannot parse: text, assertion, date, time, number, UUID
		return classRow, "type_mismatch"
	case 69, 128, 131, 190, 321, 407, 691: // out of bound, array or string too large, sizes differ, out of range, decimal, enum
		return classRow, "out_of_range"
	case 469: // a constraint that the operator has put on the table
		return classRow, "violated_constraint"
	}
	return classRetry, ""
}

// explain says what a person can do about an error that is not about rows. It holds no secret: the client's errors
// name hosts, users and queries.
func explain(err error, user string) error {
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case codeAccessDenied:
		return fmt.Errorf("user %q lacks a right: let an administrator run: GRANT %s TO %s: %w", user, missingGrant(e.Message), user, err)
	case codeAuthentication:
		return fmt.Errorf("user %q is not let in: check user and password of the dsn: %w", user, err)
	case codeUnknownTable, codeUnknownDatabase:
		return fmt.Errorf("the schema is not there: run `aidr migrate`: %w", err)
	}
	return err
}

// missingGrant takes the grant out of "Not enough privileges. To execute this query, it's necessary to have the grant
// CREATE DATABASE ON aidr.*".
func missingGrant(message string) string {
	_, grant, ok := strings.Cut(message, "have the grant ")
	if !ok {
		return "(what the message names)"
	}
	grant, _, _ = strings.Cut(grant, ". ")
	return strings.TrimSuffix(strings.TrimSpace(grant), ".")
}
