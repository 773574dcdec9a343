// Package engine runs the detection pipeline: it reads batches from sources, decodes and matches them, folds the matches
// into State, and makes the result durable together with the positions that were read.
//
//	Source -> lane: Read -> worker pool: decode, match, capture    (in any order, in parallel)
//	                 |
//	                 +---- in the partition's order: late? -> shard of hash(rule, group key) -> Cell.Add
//	ticker -> checkpoint: pause the lanes, note positions and watermarks, put a barrier into every shard's queue;
//	          each shard advances its cells and hands over its changes; one Commit; then the sinks and sources are notified
//
// A worker is stateless and takes any batch. A lane is one partition and routes its batches in order. A shard owns the
// cells of a range of hashes: one goroutine, no locks. Package engine/capture makes items of matches, engine/fold makes
// findings of items, engine/store makes checkpoints durable, and engine/deliver hands findings to the sinks.
//
// # The promise
//
// Settled findings are a function of the records in the partitions, and of the idle watermarks, the changes of rules and the
// clearing of State (Engine.ClearState) between them. They do not depend on how partitions interleave, on batches, shards,
// paging or kills, nor on whether the engine runs live or replays. As long as every record reaches its partition within its
// dataset's delay, they do not depend on the order inside a partition nor on the number of partitions either, and idle
// watermarks change nothing.
// TestSettledFindingsDependOnRecordsAlone compares them with those of an evaluator that is written from the definitions
// (engine/fold/reference). TestSimulation does so under faults of processes, disks, networks, brokers and sinks, in virtual time.
//
// # Time
//
// Time comes from events. The engine orders an event by the instant at which its activity was over, its time plus its
// duration, because logs of calls are written then: a call of 30 seconds is not late. The wall clock (engine/clock) only
// moves the watermarks of idle partitions, paces checkpoints and stamps detected_at.
//
// A partition's watermark for a dataset is min(H, highest record timestamp) - delay of the dataset. The delay is the time
// within which a record reaches its partition (30 s for gateways, 20 min for audit trails). H is a high quantile of the
// event times of recent records: the k-th highest of the current and the previous block of 1,024 records, where k is a
// 64th of them and at least 8; a record counts once, with its highest time, and there is no H before the eighth record.
// The first version took the highest time instead, and one record dated 2035 at the head of a file made all others late.
// A file has no record timestamps: there H counts alone. A watermark never goes back.
//
// An event whose record has no usable time borrows the record's timestamp, and its activity counts as having no duration.
// That timestamp shows when the record was written: in a backlog of three days one such event made half of the backlog
// late. Borrowed times therefore move no watermark, except in a partition whose last 1,024 records with events had no
// better ones.
//
// An event is late if it is below the watermark that its partition had before its record; the watermark of another
// partition does not matter, and a record with many events cannot make its own events late. An event more than MaxSkew
// past its record's timestamp is treated like a late one and moves no watermark, because its date is forged.
//
// A rule's watermark is the minimum over all partitions whose source may carry one of the rule's datasets, also before
// their first record. A partition that appears later starts at the watermark of the others. A partition that a live
// connection reports as read to its end, and that has had no record for Input.Idle, follows the wall clock as far as the
// connection has confirmed its end, so that silence can be judged when everything is silent.
//
// At the end of a replay every watermark becomes the highest event time of the whole input, without borrowed times and
// without times more than a day after the quantile of all partitions. Events after that instant stay pending: their
// findings are open. Treating them as late instead would lose the end of a sparse input, such as ten events in ten days.
//
// A late event still gives a finding under a rule without a stateful clause: a finding of its own, which is settled at
// once. Stateful rules only count it, by rule and dataset.
//
// # Speculate, then settle
//
// A cell is the memory of one rule for one group key. It has three parts: base holds the items below the watermark,
// folded; pending holds the items at or above it, in order; live is base with pending folded on top. Findings come out of
// live, so they are early, and a straggler that changes the answer corrects or withdraws them. When the watermark passes,
// pending items move into base, and groups that are over settle. No item that is not late is ever below base.
//
// # Rules over rules
//
// A rule on events has the level 0, and a rule over others a level above all rules that feed it (rules.Rule.Level).
// Items of level 0 come from the lanes. Those of a higher level come into being at a checkpoint, when the triggers of
// the levels below are known: a checkpoint goes through the levels in turn.
//
//	shards, level 0   advance their cells to the watermarks; every cell hands over its triggers (fold.Cell.Triggers), of
//	                  which package capture makes items of the rules over it
//	checkpointer      collects the items of all shards, raises the watermarks of the rules of level 1, and sends each
//	                  shard its items with the next barrier
//	shards, level 1   add the items, advance, hand over triggers, and so on up to the highest level
//
// The lanes go on as soon as they have put the first barrier into the queues. Items that they send meanwhile wait in
// the cells of level 0, and their triggers for the next checkpoint. All levels are part of the same atomic write, so a
// finding of a rule over others is durable together with the triggers behind it, and no trigger is handed over twice.
//
// The watermark of a rule over others is the lowest one that all cells of the rules that feed it have reached. So a
// cell of theirs that a checkpoint leaves for the next one holds it back, and no trigger is below it. A rule that
// nothing feeds has no watermark, and no rule waits for it.
//
// Triggers of items above the watermark are handed over too, so that findings of rules over others are early. If such a
// trigger changes or goes, its items are sent again with item.Item.Gone, and remove their equals from the pending
// items. Triggers of deadlines wait for the watermark. Late items make findings and have no triggers.
//
// A critical rule asks for a checkpoint at once when an event matches it, and so do the rules that feed it.
//
// # A checkpoint is one instant of the engine
//
// It holds the positions, the watermarks, the dirty cells, the pending items that are new, the dead letters and the new
// findings, and becomes durable in one atomic write. So a finding exists exactly if the positions after it are past,
// also after a kill at any moment. The invariant is that the cells contain exactly the records before the positions.
//
// Lanes send items to shards under a read lock that a checkpoint takes for writing while it notes the positions and
// puts its barriers into the queues: the items that a shard receives before its barrier are therefore those before the
// positions. The lock is held for microseconds. The alternative, barriers that travel with the data and are aligned in
// the shards, needs a stash per lane for the items that arrive between the first barrier and the last.
//
// Only two things flow backwards: back-pressure (a full queue blocks) and, after a checkpoint, the committed positions.
//
// # Memory
//
// One budget (Options.Memory, package budget) bounds the batches on their way, the changes that wait for a checkpoint, the
// checkpoint under way, the cells in memory and the dead letters. The sizes are estimates from counts and lengths. Nothing
// is dropped, and findings do not depend on the budget:
//
//	changes over their share     a checkpoint is taken at once, and the lanes wait until it is durable
//	batches over their share     the readers wait
//	hot cells over their share   a checkpoint packs clean cells in memory, in a third of it (pack.go); above 7/4 of the share
//	                             it also writes their pending items, by owner, and the cells leave memory; the next item or
//	                             timer brings them back
//	cold cells over their share  the least recently used ones leave memory; the store has them
//	many cells are due at once   a checkpoint moves as many as it has room for, and the next ones the rest; the rule's
//	                             watermark in the store is the one that all its cells have reached, with that of each shard
//	                             that is ahead of it (apart.go)
//	a restart with many pending  the items are packed without making cells; above 7/4 of the share they are written by owner,
//	                             and are read when needed
//
// The rows of paged items are part of a checkpoint: a write of their own, ahead of it, would leave items of a later
// moment in the store if the disk failed and the store was reopened. Only the running engine reads them; New deletes those
// that it finds.
//
// The hot cells take the part of the share of the cold ones that these leave. The timers of cells at rest are in the store,
// ordered by time, and a checkpoint reads those that are due (timer.go): they take no memory, and a restart with the same
// rules reads no cell. A checkpoint has room for a share of findings, and the rest waits for the next one.
//
// The budget does not bound the pending items of one single cell, the timers of pending items (about 60 bytes a cell), nor
// a replay without a Store, which cannot page. A batch is routed as a whole: the changes of one batch for each lane are
// on top of their share.
//
// 100,000 agents with three findings each, 40 MB of log within 30 s, took 6.2 GB of resident memory without a budget, and
// 0.6 GB with one of 512 MiB; 16,000 malformed records of 64 KB, 1.1 MB of gzip, took 4 GB and 0.4 GB.
//
// # Cores
//
// Workers and shards do the work that takes processor time. No more of them are busy at the same time than Options.Cores (see
// seats). Lanes, sources and the checkpointer only move batches on. So a process that also answers gateways keeps its
// latency while the engine works as fast as it can: aidr run then lets the runtime use some threads more than there are cores.
//
// # Operational findings
//
// Findings of the operational rules (rules.OperationalRules) describe the process itself: the observer looks at its sources,
// rules, checkpoints and outbox once a second by the wall clock, and the next checkpoint holds the changes of its findings.
// So they reach the sinks like all others, and a restart goes on with those that are open. They are outside of the promise:
// only an engine with a Store has them, and no cell ever does.
//
// The time of a rule is sampled (see meter). It costs two readings of the clock for each batch and each message of a
// shard, and some more for one event and one item in 64.
//
// # Responses
//
// With Options.Contain, the findings of a checkpoint whose rules contain act on the containment table (package contain) before
// the checkpoint is written, and the table's changes are part of the same write. A match of such a rule asks for a checkpoint at
// once, as one of a critical rule does. A finding that a record showed wrong releases what it contained.
//
// While anything is contained, workers look up the principals of each event, and extract the fields that the proof needs; the
// observer judges the proof once a second. Responses and their proof are operational, and findings never depend on them.
//
// # Faults
//
//	undecodable record           dead letter with reason and position; the partition goes on
//	kill -9, power cut           restart from the last checkpoint: no finding is lost, and one that is delivered again has
//	                             the same id, revision and body
//	checkpoint cannot be written reading is paused; the same checkpoint is tried again until it succeeds; if the engine has
//	                             to stop before that, the previous checkpoint counts and the input after it is read again
//	State cannot be read         the shard waits and tries again, and reading is paused: State that cannot be read is never
//	                             taken for State that does not exist
//	a State entry is damaged     the key starts empty; counted and logged
//	state directory lost         reading starts from the positions that the source remembers; findings carry warming_until.
//	                             A process that takes over with a state directory of its own is in the same situation
//	rule changed or new          its State starts empty if its shape differs; findings carry warming_until, and those that were
//	                             open are withdrawn with the reason "rule changed"
//	rule removed or disabled     its open findings are withdrawn with the reason "rule removed"; its State is kept for one hour
//	                             of event time, so that a rollback loses nothing: the findings that are live are open again
//	outbox full, disk full       reading is paused until there is room; nothing is dropped. Both are operational findings, the
//	                             second once the disk can be written again
//	a rule is slow or fails      it is counted, and an operational finding after 5 min; no event is skipped
//	partition revoked            its batches are routed, a checkpoint makes them durable, then another process may read it
package engine
