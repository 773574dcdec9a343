package deliver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// discardLimit bounds how many entries over the cap become dead letters in one write of the store.
	discardLimit = 500
	// capSlack is the part of the cap that is freed once the cap is reached (1/16), so that not every further entry
	// causes a write.
	capSlack = 16
)

// step is an Advance in preparation, with the counts that apply once it is durable.
type step struct {
	store.Advance
	counts counts
}

// deliverBlock handles the entries of the next block. Each entry is written, skipped because the sink does not want it,
// or queued as a retry.
func (o *outlet) deliverBlock(ctx context.Context) error {
	entries, err := o.readBlock(ctx)
	if err != nil || len(entries) == 0 {
		return err
	}
	st := &step{Advance: store.Advance{Cursor: entries[len(entries)-1].Seq + 1}}
	if err := o.write(ctx, o.planBlock(entries, st), st); err != nil {
		return err
	}
	o.firstSeen = time.Time{}
	return o.finish(ctx, st)
}

// readBlock reads the intended block. If none is intended it reads the next block and, for a sink of rows, makes the
// intention durable.
func (o *outlet) readBlock(ctx context.Context) ([]store.Outgoing, error) {
	if o.block != 0 {
		entries, err := o.store.Outbox(o.cursor, int(o.block-o.cursor), math.MaxInt64)
		if err == nil && uint64(len(entries)) != o.block-o.cursor {
			err = fmt.Errorf("read entries %d to %d of the outbox: some are missing: the store is damaged", o.cursor, o.block-1)
		}
		return entries, err
	}
	entries, err := o.store.Outbox(o.cursor, o.profile.MaxEntries, int64(o.profile.MaxBytes))
	if err != nil || len(entries) == 0 || o.profile.Dead != schema.DeadRow {
		return entries, err
	}
	return entries, o.advance(ctx, &store.Advance{Cursor: o.cursor, Block: entries[len(entries)-1].Seq + 1})
}

// planBlock returns the entries of a block that are to be written, and puts the others into the step.
func (o *outlet) planBlock(entries []store.Outgoing, st *step) (toWrite []store.Outgoing) {
	now := o.clock.Now()
	last := map[schema.ID]uint64{} // the last wanted entry of each finding in the block
	wanted := make([]store.Outgoing, 0, len(entries))
	for _, e := range entries {
		if !o.profile.Wants(e.Entry) {
			st.counts.skipped++
			continue
		}
		wanted = append(wanted, e)
		last[e.ID()] = e.Seq
	}
	for _, e := range wanted {
		id := e.ID()
		update := o.profile.UpdateEvery > 0 && e.Type == connectors.FindingUpdated
		due := now
		if update {
			due = o.updates.earliest(id)
		}
		_, hasLine := o.queue.last(id)
		switch {
		case update && last[id] != e.Seq:
			st.counts.coalesced++ // a later entry of this block contains the update
		case hasLine || due.After(now): // an update that is too early is the last entry of its finding in the block
			o.enqueue(st, e, update, schema.InstantOf(due))
		default:
			toWrite = append(toWrite, e)
		}
	}
	return toWrite
}

// enqueue puts an entry at the end of its finding's line. The entry replaces an update there that was never written.
func (o *outlet) enqueue(st *step, e store.Outgoing, update bool, due schema.Instant) {
	st.Retry = append(st.Retry, store.Retry{Seq: e.Seq, Finding: e.ID(), Due: due, Size: e.Size, Update: update})
	old, ok := o.queue.last(e.ID())
	if ok && old.Update && old.Attempts == 0 && !slices.Contains(st.Done, old.Seq) {
		st.Done = append(st.Done, old.Seq)
		st.counts.coalesced++
	}
}

// deliverRetries writes retries that are due. If that fails they are put back into the queue.
func (o *outlet) deliverRetries(ctx context.Context, due []store.Retry) error {
	defer func() {
		for _, r := range due {
			if o.queue.contains(r) {
				o.queue.put(r)
			}
		}
	}()
	st := &step{Advance: store.Advance{Cursor: o.cursor}}
	toWrite, err := o.readRetries(due, st)
	if err != nil {
		return err
	}
	if err := o.write(ctx, toWrite, st); err != nil {
		return err
	}
	failed := map[uint64]bool{}
	for _, r := range st.Retry {
		failed[r.Seq] = true
	}
	for _, e := range toWrite {
		if !failed[e.Seq] {
			st.Done = append(st.Done, e.Seq)
		}
	}
	return o.finish(ctx, st)
}

// readRetries returns the entries of the retries, as many as fit into Profile.MaxBytes.
func (o *outlet) readRetries(due []store.Retry, st *step) (toWrite []store.Outgoing, err error) {
	size := int64(0)
	for _, r := range due {
		e, ok, err := o.store.Entry(r.Seq)
		switch {
		case err != nil:
			return nil, err
		case !ok: // impossible, because the retry pins its entry
			o.log.Error("outbox entry missing, the store is damaged", "sink", o.name, "entry", r.Seq)
			st.Done = append(st.Done, r.Seq)
		case !o.profile.Wants(e.Entry): // the sink's filter changed in the configuration
			st.Done = append(st.Done, r.Seq)
			st.counts.skipped++
		case size > 0 && size+e.Size > int64(o.profile.MaxBytes):
			return toWrite, nil
		default:
			e.Attempt = r.Attempts
			toWrite, size = append(toWrite, e), size+e.Size
		}
	}
	return toWrite, nil
}

// write hands entries to the sink and puts the results into the step.
func (o *outlet) write(ctx context.Context, toWrite []store.Outgoing, st *step) error {
	if len(toWrite) == 0 {
		return nil
	}
	if d := o.isDisabled(); d != (store.Disabled{}) {
		detail := fmt.Sprintf("the sink is disabled since %v: %s", d.Since, d.Reason)
		for _, e := range toWrite {
			if err := o.addDead(st, e, connectors.ReasonEndpointGone, detail, e.Attempt); err != nil {
				return err
			}
		}
		return nil
	}
	entries := make([]connectors.Entry, len(toWrite))
	for i, e := range toWrite {
		entries[i] = e.Entry
	}
	began := o.clock.Now()
	err := o.sink.Write(ctx, entries)
	now := o.clock.Now()
	o.written.Observe(now.Sub(began).Seconds())
	if o.trace != nil {
		o.trace(connectors.Span{Name: connectors.SpanDelivery, Subject: o.name, Start: began, Took: now.Sub(began), Size: int64(len(entries)), Err: err})
	}
	var partial *connectors.Partial
	if err != nil && !errors.As(err, &partial) {
		return fmt.Errorf("write to sink %q: %w", o.name, err)
	}
	for _, e := range toWrite {
		switch e.Type {
		case connectors.FindingOpened:
			o.updates.opened(e.ID(), now)
		case connectors.FindingUpdated:
			o.updates.updated(e.ID(), now)
		}
	}
	if partial == nil {
		st.counts.delivered += uint64(len(toWrite))
		for _, e := range toWrite {
			o.observeDelivery(e, now)
		}
		o.setRefused("")
		return nil
	}
	if partial.Disabled != "" {
		st.Disable = store.Disabled{Since: o.now(), Reason: partial.Disabled}
	}
	return o.splitPartial(toWrite, partial, st)
}

// splitPartial turns the entries that a sink could not deliver into retries and dead letters.
func (o *outlet) splitPartial(written []store.Outgoing, p *connectors.Partial, st *step) error {
	failed := make(map[uint64]connectors.Undelivered, len(p.Entries))
	for _, u := range p.Entries {
		failed[u.Seq] = u
	}
	delivered, refused := false, ""
	for _, e := range written {
		u, bad := failed[e.Seq]
		switch {
		case !bad:
			st.counts.delivered++
			o.observeDelivery(e, o.clock.Now())
			delivered = true
		case u.Poison:
			refused = cmp.Or(refused, u.Reason+": "+u.Detail)
			if err := o.addDead(st, e, u.Reason, u.Detail, e.Attempt+1); err != nil {
				return err
			}
		default:
			r := store.Retry{Seq: e.Seq, Finding: e.ID(), Attempts: e.Attempt, Size: e.Size}
			r.Due = o.now() + schema.Instant(retryAfter(u))
			if !u.Held {
				r.Attempts++
			}
			r.Update = r.Attempts == 0 && o.profile.UpdateEvery > 0 && e.Type == connectors.FindingUpdated
			st.Retry = append(st.Retry, r)
			st.counts.retried++
		}
	}
	if delivered || refused != "" {
		o.setRefused(refused)
	}
	return nil
}

// retryAfter returns the pause before an undelivered entry is tried again.
func retryAfter(u connectors.Undelivered) time.Duration {
	if u.After <= 0 {
		return minPause
	}
	return min(u.After, maxRetryAfter)
}

// finish makes a step durable, then applies it to the queue and the counters.
func (o *outlet) finish(ctx context.Context, st *step) error {
	if err := o.advance(ctx, &st.Advance); err != nil {
		return err
	}
	for _, r := range st.Retry {
		o.queue.put(r)
	}
	for _, seq := range st.Done {
		o.queue.remove(seq)
	}
	for i := range st.Dead {
		o.onDead(st.Dead[i].Kind, st.Dead[i].Reason)
	}
	o.mu.Lock()
	o.counts.add(st.counts)
	if st.Disable != (store.Disabled{}) {
		o.disabled = st.Disable
	}
	o.mu.Unlock()
	o.takeRequeued()
	if st.Disable != (store.Disabled{}) {
		o.announce(st.Disable)
	}
	return nil
}

// announce adds an entry for the other endpoints, and one to the audit: this endpoint is disabled. A crash just before it leaves
// only the status of the sink, which is durable already.
func (o *outlet) announce(d store.Disabled) {
	e := schema.EndpointDisabled(o.name, d.Since, d.Reason)
	err := o.store.Apply(&store.Change{
		Outbox: []connectors.Entry{{Type: connectors.EndpointDisabled, Endpoint: e}},
		Audit: []store.AuditEntry{{
			Time: d.Since, Who: "aidr", Class: schema.AuditDelivery, Action: "sink.disable", Object: o.name, Reason: schema.Truncate(d.Reason, schema.MaxReason),
		}},
	})
	if err != nil {
		o.log.Warn("endpoint.disabled not announced to the other endpoints", "sink", o.name, "error", err)
		return
	}
	o.wakeOthers()
}

// enforceCap turns the oldest waiting entries into dead letters while more than the cap waits for the sink. They can be
// requeued from there.
func (o *outlet) enforceCap(ctx context.Context) error {
	if o.profile.OutboxCap == 0 || o.store.WaitingBytes(o.name) <= o.profile.OutboxCap {
		return nil
	}
	for {
		excess := o.store.WaitingBytes(o.name) - (o.profile.OutboxCap - o.profile.OutboxCap/capSlack)
		if excess <= 0 {
			return nil
		}
		st := &step{Advance: store.Advance{Cursor: o.cursor}}
		if err := o.discardOldest(st, excess); err != nil {
			return err
		}
		if len(st.Done) == 0 && st.Cursor == o.cursor {
			return nil
		}
		o.log.Warn("sink backlog over its cap; oldest entries moved to the dead letters",
			"sink", o.name, "entries", len(st.Dead), "cap_bytes", o.profile.OutboxCap)
		if err := o.finish(ctx, st); err != nil {
			return err
		}
	}
}

// discardOldest fills a step with dead letters of the oldest entries, of about excess bytes. Retries are older than the
// entries at the cursor.
func (o *outlet) discardOldest(st *step, excess int64) error {
	for _, r := range o.queue.all() {
		if excess <= 0 || len(st.Done) >= discardLimit {
			return nil
		}
		e, ok, err := o.store.Entry(r.Seq)
		if err != nil {
			return err
		}
		if ok {
			if err := o.discard(st, e, r.Attempts); err != nil {
				return err
			}
		}
		st.Done = append(st.Done, r.Seq)
		excess -= r.Size
	}
	if excess <= 0 || len(st.Done) >= discardLimit {
		return nil
	}
	entries, err := o.store.Outbox(o.cursor, discardLimit-len(st.Done), excess)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := o.discard(st, e, 0); err != nil {
			return err
		}
		st.Cursor = e.Seq + 1
	}
	return nil
}

// discard turns an entry over the cap into a dead letter, if the sink wants the entry.
func (o *outlet) discard(st *step, e store.Outgoing, attempts int) error {
	if !o.profile.Wants(e.Entry) {
		st.counts.skipped++
		return nil
	}
	return o.addDead(st, e, connectors.ReasonOutboxFull, fmt.Sprintf("more than %d MiB waited for the sink", o.profile.OutboxCap>>20), attempts)
}

// addDead adds the dead letter of an entry to the step. It has the position of the first event in the finding's evidence.
func (o *outlet) addDead(st *step, e store.Outgoing, reason, detail string, attempts int) error {
	body, err := json.Marshal(e.Content())
	if err != nil {
		return fmt.Errorf("encode the content of entry %d: %w", e.Seq, err)
	}
	l := store.DeadLetter{
		Kind: o.profile.Dead, Reason: reason, Detail: detail, Time: o.now(),
		Sink: o.name, Attempts: attempts, Entry: e.Seq, Type: e.Type, Body: string(body),
	}
	if e.Finding != nil && len(e.Finding.Evidence) > 0 {
		v := &e.Finding.Evidence[0]
		l.Topic, l.Partition, l.Offset, l.Index = v.Topic, v.Partition, v.Offset, v.Index
	}
	st.Dead = append(st.Dead, l)
	st.counts.dead++
	return nil
}
