// Package tally counts how rules and sources fare: for each rule and minute of event time the events that matched, were excepted,
// came late or failed, and its triggers and findings; for each dataset of a source and hour the events that lack facts that rules
// need (schema.NeedsOf). It also encodes archived events. All of that is for tables: no finding depends on it.
//
//	worker        Batch: counts of one batch
//	lane          Ledger.Add: counts since the last checkpoint
//	checkpointer  Book: absolute counts of what is not over, with those of the shards; Book.Close makes rows and stored values
//
// A minute is over when the watermark of every partition and rule has passed its end; its counts then leave the Book. What comes
// later, such as a late event or a finding that is withdrawn, is counted in the minute that the watermark has reached. So each row
// holds the absolute value of its minute, and the row of the highest checkpoint is right, whatever is sent again.
package tally
