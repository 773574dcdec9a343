package schema

// DeadKind is the kind of a dead letter.
type DeadKind string

const (
	DeadRecord   DeadKind = "record"   // a record that could not be decoded
	DeadRow      DeadKind = "row"      // an entry that a table refused
	DeadDelivery DeadKind = "delivery" // an entry that an endpoint refused
)

// DeadKinds returns all kinds of dead letters.
func DeadKinds() []DeadKind { return []DeadKind{DeadRecord, DeadRow, DeadDelivery} }
