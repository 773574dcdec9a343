// Package connectors is the contract between the engine and the outside. A [Source] reads records from an outside system
// and hands them to a [Reader], which is the engine. A [Sink] writes the changes of findings to a destination. Each
// connector has a package below this one; package conntest holds the suites that every Source and every Sink passes.
//
// # Sources
//
// A source consists of partitions. A [Partition] is one ordered stream of records, and every record in it has an offset,
// which grows from record to record. Offsets may have gaps. A position is the offset at which reading starts or goes on.
//
// Order of calls. Run calls Reader.Assigned for every partition that the source has before it calls Read for the first
// time, because the engine must know which partitions to wait for. Partitions that appear later are announced when they
// appear. Each partition is then read in a goroutine of its own: Read of one partition may block until another partition
// has caught up. Calls of Read for one partition do not overlap. A partition ends with a Final batch or with Revoked;
// after Revoked it may be assigned again. Before Run returns, every partition has ended in one of these two ways.
//
// Positions. The engine owns the positions. A checkpoint stores Batch.Next together with everything that was derived from
// the records before it, and Assigned returns that position after a restart, or after a partition was revoked and came
// back. If it returns ok == false, the engine does not know the partition, and the source begins as configured. A source
// must be able to go on from the offset of any record and from the Next of any batch. Source.Commit reports the
// checkpointed positions to the outside system. They are a hint for tools that show lag; a source may only fall back on
// them if the engine does not know the partition. It then also calls StateLost, if the Reader implements [StateLost], so
// that findings show that they may have missed earlier records. Commit must be harmless at any time, for any partition.
//
// Ownership. Read takes ownership of the [Batch]: the source neither changes nor reads it after the call, and never uses
// it again. Batches are not pooled, because the text of events, of findings and of dead letters may point into Batch.Raw
// for any length of time.
//
// Blocking. Read blocks while the engine is full, while another partition is too far behind, and while a sink that
// must not lose entries is too far behind; this is the only back-pressure. Revoked blocks until everything that was read
// of the partition is part of a durable checkpoint, or until the attempt to write one has failed. A source bounds the wait
// with a context that outlives that of Run, which has usually ended at that point. Assigned, StateLost and Standby do
// not wait for the outside.
//
// The end of a partition. AtEnd reports that a live connection has just confirmed that every record was read. Only
// partitions that are at their end, and stay silent, move on with the wall clock: then findings become final although no
// later record arrives. A source that cannot reach its partition must therefore not leave AtEnd set: it sends a batch
// without records in which AtEnd is false. Final reports that no record will ever follow.
//
// Standby. A source that shares its work with other processes and currently reads nothing calls Standby with a reason,
// which /readyz shows. Standby with "" and Assigned end it.
//
// Errors. Run retries everything that may succeed later, with a [Backoff], and reports it through Health. It returns nil
// when ctx ends, and for a bounded source when everything was read. An error of Read is the engine's own: Run revokes its
// partitions and returns that error. No goroutine of Run outlives it.
//
// # Sinks
//
// Changes of findings are entries of the outbox, a durable log in the engine's store. An [Entry] has a consecutive number,
// Seq, and never changes. Each sink has a durable cursor in the outbox and at most one Write at a time. A sink that is
// new in the configuration gets the entries from then on. Sinks do not wait for one another.
//
// Types of entries. [FindingOpened] is the first revision of a finding. [FindingUpdated] is a later revision of a
// finding that can still change. [FindingSettled] is the final revision. [FindingWithdrawn] takes a finding back,
// because an event that arrived later, but not too late, showed that it was wrong. Each entry carries the whole
// finding, not a difference.
//
// Entries of responses carry a [schema.ResponseRecord], or the [schema.Approval] of a held call: [AgentContained],
// [AgentReleased] and [ApprovalAsked] are for endpoints too, [ResponseChanged] for tables only. [TriageChanged] carries the
// [schema.Triage] of a finding and [AuditAdded] a [schema.AuditEntry], both for tables only, [EndpointDisabled] a [schema.Endpoint]. A sink that does not know them
// declines them in Profile.Wants.
//
// Delivery. Every entry that the sink wants is delivered at least once or becomes a dead letter. Entries are repeated
// after a Write failed as a whole and after a crash. A sink therefore identifies a row or message by the finding's ID and
// revision, and an older revision never replaces a newer one. Entries of one finding arrive in order: none is written
// while an earlier entry of the same finding waits for a retry.
//
// The result of Write. A nil error means that all entries are durable at the destination. A [*Partial] names the entries
// that are not; all others are. An [Undelivered] entry is tried again after After, or is Poison: it can never be
// delivered and becomes a dead letter with its Reason, from which it can be requeued. Held marks an entry that was not
// tried at all, so its attempt is not counted. Any other error means that the destination as a whole is unavailable and
// that the state of every entry is unknown: the same entries are written again after a pause. When ctx ends, Write
// returns promptly. The entries belong to the caller; a sink neither changes them nor keeps them after Write.
//
// Profile. [Profile] describes how a sink wants its entries; the zero Profile is an endpoint that wants all of them.
// MaxEntries, MaxBytes and Linger shape one Write. Wants filters. UpdateEvery thins out FindingUpdated. Watch looks after
// the destination while nothing is delivered, so that its schema exists and Health is true. Keep hands over [Notes], which are
// durable and belong to one sink. DeadLetters copies the dead letters to a destination outside, such as a topic. Dead is the kind of the dead
// letters, and decides between two ways of treating a sink:
//
//   - A sink of rows (schema.DeadRow) gets fixed blocks. The extent of a block is durable before the block is written, so
//     a block that may have been written is written again with the same entries, even after a crash, and the destination
//     can recognise it. If such a sink falls too far behind, Read blocks: its entries are never discarded.
//   - A sink of deliveries (schema.DeadDelivery) is a third-party endpoint. Each has a cap of its own on the bytes that
//     wait for it, OutboxCap. Its oldest entries over the cap become dead letters, so a dead endpoint never slows the
//     engine or another sink.
//
// A destination that wants no further entries, as an endpoint does that answers 410 Gone, disables its sink: Partial reports
// why in Disabled. That is durable. An operator enables the sink again, which calls Profile.Enable.
//
// Health reports the present state of a connection for /readyz and may be called at any time. Close is called once, after
// the last Write.
//
// # Probes
//
// A source or sink that implements [Prober] can be tried before it runs, as `aidr config check --connect` does.
package connectors
