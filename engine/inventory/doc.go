// Package inventory keeps what events show of every agent, credential, tool, MCP server and model: since when it is seen,
// how often, and with which other values. Nothing has to be declared for that.
//
//	worker     Batch.Add: one Observation for each event, grouped by the values that it has in common with others
//	           Batch.Seal: deltas, one for each entity and minute of event time
//	lane       leaves out late events, and hands the deltas to the shard of hash(kind, tenant, name)
//	shard      Shard.Add: merges deltas of one minute; Shard.Checkpoint: folds minutes below the watermark into base
//	store      base of each entity, the deltas that are not folded yet, and the rows for the sinks
//
// # The promise
//
// The inventory is a function of the events that are not late, and of nothing else: not of their order, of partitions,
// batches, shards, paging or kills. Within one minute everything commutes: minima, maxima, sums that saturate, and sets that keep
// the MaxUses smallest names. Minutes are folded in their order, once the watermark of all partitions has passed their
// end. So the first MaxUses values of a kind stay, and the events of all later values are counted as omitted.
// TestInventoryDependsOnEventsAlone compares it with a fold that is written from these sentences.
//
// Unlike a rule, the inventory counts an event as often as its records are delivered to the partitions.
//
// # Reading
//
// An index in the store orders the entities by Rank, so that the ones that deserve a look are found without reading all.
//
// A Source is an inventory to read: that of a running engine, which includes the minutes above the watermark, that of a
// store, or that of a replay. AgentOf, CredentialOf and ToolOf turn an Entity into the row that users see, and Export
// writes all of them as JSON lines. Rules never read the inventory, so no finding depends on it.
package inventory
