// Package contain is the containment table: what an agent, session, credential, tool, route, MCP server or tenant may do now,
// until when, and why.
//
//	rules        Trigger, Withdraw     a shard, when a finding changes, in memory before the checkpoint
//	people       Contain, Release,     the control API and the commands of it
//	             Approve, SetPause
//	gateways     Decide                connectors/decision
//	a process    NewView, View.With,   from the snapshots that Since gives
//	beside one   View.Decide
//	the engine   Take, Saved, Tick     the part of each checkpoint; what expires
//	             Observe               what the logs show of contained principals: the proof
//
// # Reading
//
// A View is one version of the table: hash indexes from principals, sessions, servers and tenants to containments, in parts
// that versions share. Decide loads the present one with one atomic read and looks up each name of the question. The strictest
// containment counts: deny before hold before throttle before observe. What is only monitored, because of its mode or because
// automation is paused, is in the answer's Would. The end of a containment is compared with the clock at each question, so it
// ends on time even if nothing else runs.
//
// # Writing
//
// A change counts at once, and is durable with the next checkpoint of the engine, together with its audit entry and its entry
// in the outbox. So after a kill -9 a containment exists exactly if its caller got the answer that it is durable, or the finding
// behind it is found again: what a rule contained in memory and no checkpoint held, its trigger contains again, because the
// records behind it are read again.
//
// A release is durable in the same way: after a kill before its checkpoint the containment holds. An approval is durable as
// used before the call that uses it passes, so it is used once whatever is killed when.
//
// # What automation may do
//
// Rules act within a Policy. Beyond its caps, and for a credential that other agents use or of which nobody knows who uses it,
// a person is asked: the record is a proposal, restrains nothing, and expires. A containment of an agent covers the aliases
// and credentials that the Directory knows and no other agent uses, and names them; the others it names as spared. The list
// of the never-contained is not even proposed. After a containment of a rule ends, the rule leaves the target alone for the
// cooldown. A target that is contained already is not contained for longer by further triggers.
//
// A finding that is withdrawn because a record showed it wrong releases the containments that it caused, unless a person
// approved them: their reason is gone. A finding that is withdrawn because its rule was removed or changed releases nothing: an
// edit of a rule file must not set agents free.
//
// A trigger whose event is older than the containment would last is not carried out: after an outage, a backlog of hours must
// not stop agents for what they did long ago. A replay has no table and contains nothing.
//
// # Lost state
//
// A table on a state directory that is new, or has lost checkpoints, may lack containments. Its answers are then unknown
// instead of allow, until a person confirms that it is complete. What is contained meanwhile is denied.
//
// # Proof
//
// The workers look up the principals of each event while any containment is active. A blocked call is a denial, a successful
// one that began after the grace period a success. Denials without a success for Policy.VerifyAfter of event time verify a
// containment; a success against a denying one fails it, which the operational finding aidr.contained-agent-still-calls
// reports with the source and route. The proof depends on which records are read after the containment, so it is operational:
// outside of the promise that findings are a function of the records, and absent from replays.
package contain
