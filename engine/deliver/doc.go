// Package deliver hands the entries of the outbox to the sinks.
//
// Each sink has an outlet with a goroutine of its own, so that sinks do not wait for one another. An outlet reads the
// outbox from the sink's cursor. An entry that has its turn is written, skipped because the sink does not want it, or
// queued as a retry; then the cursor passes it. Cursor, retries and dead letters change together in one
// store.Advance, so after a crash an outlet continues from its last Advance.
//
// Blocks. A table can ignore a block that it already has only if the block comes again with the same entries. Before the
// outlet of a sink of rows writes a block, it therefore makes the end of the block durable: the block is then intended. An
// intended block may have been written. It is written again with the same entries until that succeeds, also after a
// crash, and before anything else.
//
// Retries. The retries of one finding form a line. Only the first of a line is ever written; the others wait, because a
// sink must get the changes of a finding in order. An entry whose finding has a line joins that line. If the sink limits
// updates, an update that comes too early starts a line, and a later entry of the finding replaces it as long as it was
// never written.
//
// Cap. A sink of deliveries has a cap on the bytes that wait for it. The oldest entries over the cap become dead letters,
// from which they can be requeued, so a dead endpoint never slows the engine. A sink of rows has no cap of its own: its
// backlog counts for store.OutboxFull, which pauses reading.
//
// Dead letters. A sink may want copies of the dead letters (Profile.DeadLetters). It has a durable place of its own among them.
//
// Repetition. A crash between a Write and its Advance repeats that Write after the restart: one block of a sink of rows,
// or up to Profile.MaxEntries entries of another sink. So does a shutdown at a time when the store cannot be written. A
// Write that failed as a whole is repeated too. Nothing else is delivered twice, unless a dead letter is requeued.
package deliver
