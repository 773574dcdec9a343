package deliver

import (
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
	// giveUpAtOnce bounds how many entries over the cap become dead letters in one write of the store.
	giveUpAtOnce = 500
	// capSlack is the part of the cap that is freed when it is reached (1/16), so that not each new entry costs a write.
	capSlack = 16
	// reasonOutboxFull is the reason of dead letters that were given up over the cap.
	reasonOutboxFull = "outbox_full"
)

// step is one Advance while it is being filled, and what it will have counted.
type step struct {
	store.Advance
	counts counts
}

// deliverBlock hands in what lies beyond the cursor. Each entry of the block is handed in, passed over because the sink
// does not want it, or held: it then waits in the queue.
func (o *outlet) deliverBlock(ctx context.Context) error {
	entries, err := o.readBlock(ctx)
	if err != nil || len(entries) == 0 {
		return err
	}
	st := &step{Advance: store.Advance{Cursor: entries[len(entries)-1].Seq + 1}}
	if err := o.write(ctx, o.planBlock(entries, st), st); err != nil {
		return err
	}
	o.first = time.Time{}
	return o.settle(ctx, st)
}

// readBlock reads the intended block, or else chooses one and makes the intention durable.
func (o *outlet) readBlock(ctx context.Context) ([]store.Outgoing, error) {
	if o.block != 0 {
		entries, err := o.store.Outbox(o.cursor, int(o.block-o.cursor), math.MaxInt64)
		if err == nil && uint64(len(entries)) != o.block-o.cursor {
			err = fmt.Errorf("entries %d to %d of the outbox are not all there: the store is damaged", o.cursor, o.block)
		}
		return entries, err
	}
	entries, err := o.store.Outbox(o.cursor, o.profile.MaxEntries, int64(o.profile.MaxBytes))
	if err != nil || len(entries) == 0 || o.profile.Dead != schema.DeadRow {
		return entries, err
	}
	return entries, o.advance(ctx, &store.Advance{Cursor: o.cursor, Block: entries[len(entries)-1].Seq + 1})
}

// planBlock decides what becomes of each entry: it returns those to hand in, and puts the others into the step.
func (o *outlet) planBlock(entries []store.Outgoing, st *step) (in []store.Outgoing) {
	now := o.clock.Now()
	last := map[schema.ID]uint64{} // the last wanted entry of each finding in the block
	wanted := make([]store.Outgoing, 0, len(entries))
	for _, e := range entries {
		if !o.profile.Wants(e.Entry) {
			st.counts.skipped++
			continue
		}
		wanted = append(wanted, e)
		last[e.Finding.ID] = e.Seq
	}
	for _, e := range wanted {
		id := e.Finding.ID
		update := o.profile.UpdateEvery > 0 && e.Type == connectors.FindingUpdated
		due := now
		if update {
			due = o.updates.next(id)
		}
		_, waits := o.queue.last(id)
		switch {
		case update && last[id] != e.Seq:
			st.counts.coalesced++ // a later entry of this block says it all
		case waits || due.After(now): // an update that waits is the last of its finding in the block
			o.hold(st, e, update, schema.InstantOf(due))
		default:
			in = append(in, e)
		}
	}
	return in
}

// hold lets the entry wait. It takes the place of an update that was never handed in.
func (o *outlet) hold(st *step, e store.Outgoing, update bool, due schema.Instant) {
	st.Retry = append(st.Retry, store.Retry{Seq: e.Seq, Finding: e.Finding.ID, Due: due, Size: e.Size, Update: update})
	if old, ok := o.queue.last(e.Finding.ID); ok && old.Update && old.Attempts == 0 && !slices.Contains(st.Done, old.Seq) {
		st.Done = append(st.Done, old.Seq)
		st.counts.coalesced++
	}
}

// deliverRetries hands in retries that are due. What the step does not settle is put back.
func (o *outlet) deliverRetries(ctx context.Context, due []store.Retry) error {
	defer func() {
		for _, r := range due {
			if o.queue.has(r) {
				o.queue.put(r)
			}
		}
	}()
	st := &step{Advance: store.Advance{Cursor: o.cursor}}
	in, err := o.readRetries(due, st)
	if err != nil {
		return err
	}
	if err := o.write(ctx, in, st); err != nil {
		return err
	}
	again := map[uint64]bool{}
	for _, r := range st.Retry {
		again[r.Seq] = true
	}
	for _, e := range in {
		if !again[e.Seq] {
			st.Done = append(st.Done, e.Seq)
		}
	}
	return o.settle(ctx, st)
}

// readRetries returns the entries to hand in, up to the sink's limit of bytes.
func (o *outlet) readRetries(due []store.Retry, st *step) (in []store.Outgoing, err error) {
	size := int64(0)
	for _, r := range due {
		e, ok, err := o.store.Entry(r.Seq)
		switch {
		case err != nil:
			return nil, err
		case !ok: // cannot be while a retry stands on it
			o.log.Error("an entry of the outbox is missing: the store is damaged", "sink", o.name, "entry", r.Seq)
			st.Done = append(st.Done, r.Seq)
		case !o.profile.Wants(e.Entry): // its filter has changed
			st.Done = append(st.Done, r.Seq)
			st.counts.skipped++
		case size > 0 && size+e.Size > int64(o.profile.MaxBytes):
			return in, nil
		default:
			e.Attempt = r.Attempts
			in, size = append(in, e), size+e.Size
		}
	}
	return in, nil
}

// write hands entries to the sink and puts what became of them into the step.
func (o *outlet) write(ctx context.Context, in []store.Outgoing, st *step) error {
	if len(in) == 0 {
		return nil
	}
	entries := make([]connectors.Entry, len(in))
	for i, e := range in {
		entries[i] = e.Entry
	}
	err := o.sink.Write(ctx, entries)
	var partial *connectors.Partial
	if err != nil && !errors.As(err, &partial) {
		return fmt.Errorf("write to sink %q: %w", o.name, err)
	}
	now := o.clock.Now()
	for _, e := range in {
		switch e.Type {
		case connectors.FindingOpened:
			o.updates.opened(e.Finding.ID, now)
		case connectors.FindingUpdated:
			o.updates.updated(e.Finding.ID, now)
		}
	}
	if partial == nil {
		st.counts.delivered += uint64(len(in))
		return nil
	}
	return o.undelivered(in, partial, st)
}

// undelivered turns what a sink could not deliver into retries and dead letters.
func (o *outlet) undelivered(in []store.Outgoing, p *connectors.Partial, st *step) error {
	failed := make(map[uint64]connectors.Undelivered, len(p.Entries))
	for _, u := range p.Entries {
		failed[u.Seq] = u
	}
	for _, e := range in {
		u, bad := failed[e.Seq]
		switch {
		case !bad:
			st.counts.delivered++
		case u.Poison:
			l, err := o.letter(e, u.Reason, u.Detail, e.Attempt+1)
			if err != nil {
				return err
			}
			st.Dead = append(st.Dead, l)
			st.counts.dead++
		default:
			r := store.Retry{Seq: e.Seq, Finding: e.Finding.ID, Due: o.instant() + schema.Instant(pauseOf(u)), Attempts: e.Attempt, Size: e.Size}
			if !u.Held {
				r.Attempts++
			}
			r.Update = r.Attempts == 0 && o.profile.UpdateEvery > 0 && e.Type == connectors.FindingUpdated
			st.Retry = append(st.Retry, r)
			st.counts.retried++
		}
	}
	return nil
}

// pauseOf returns how long an undelivered entry waits.
func pauseOf(u connectors.Undelivered) time.Duration {
	if u.After <= 0 {
		return minPause
	}
	return min(u.After, maxRetryAfter)
}

// settle makes a step durable and the queue what the step says.
func (o *outlet) settle(ctx context.Context, st *step) error {
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
		o.dead(st.Dead[i].Kind, st.Dead[i].Reason)
	}
	o.mu.Lock()
	o.counts.add(st.counts)
	o.mu.Unlock()
	o.takeIncoming()
	return nil
}

// keepCap gives up the oldest entries while more than the cap waits for the sink: they become dead letters, from where
// they can be handed in again.
func (o *outlet) keepCap(ctx context.Context) error {
	if o.profile.OutboxCap == 0 || o.store.WaitingBytes(o.name) <= o.profile.OutboxCap {
		return nil
	}
	for {
		over := o.store.WaitingBytes(o.name) - (o.profile.OutboxCap - o.profile.OutboxCap/capSlack)
		if over <= 0 {
			return nil
		}
		st := &step{Advance: store.Advance{Cursor: o.cursor}}
		if err := o.giveUp(st, over); err != nil {
			return err
		}
		if len(st.Done) == 0 && st.Cursor == o.cursor {
			return nil
		}
		o.log.Warn("too much waits for a sink: the oldest entries go to the dead letters", "sink", o.name, "entries", len(st.Dead), "cap_bytes", o.profile.OutboxCap)
		if err := o.settle(ctx, st); err != nil {
			return err
		}
	}
}

// giveUp fills a step with dead letters of the oldest entries, about over bytes of them.
func (o *outlet) giveUp(st *step, over int64) error {
	for _, r := range o.queue.oldest() {
		if over <= 0 || len(st.Done) >= giveUpAtOnce {
			return nil
		}
		e, ok, err := o.store.Entry(r.Seq)
		if err != nil {
			return err
		}
		if ok {
			if err := o.bury(st, e, r.Attempts); err != nil {
				return err
			}
		}
		st.Done = append(st.Done, r.Seq)
		over -= r.Size
	}
	if over <= 0 || len(st.Done) >= giveUpAtOnce {
		return nil
	}
	entries, err := o.store.Outbox(o.cursor, giveUpAtOnce-len(st.Done), over)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := o.bury(st, e, 0); err != nil {
			return err
		}
		st.Cursor = e.Seq + 1
	}
	return nil
}

// bury makes a dead letter of an entry that the sink wants.
func (o *outlet) bury(st *step, e store.Outgoing, attempts int) error {
	if !o.profile.Wants(e.Entry) {
		st.counts.skipped++
		return nil
	}
	l, err := o.letter(e, reasonOutboxFull, fmt.Sprintf("more than %d MiB waited for the sink", o.profile.OutboxCap>>20), attempts)
	if err != nil {
		return err
	}
	st.Dead = append(st.Dead, l)
	st.counts.dead++
	return nil
}

// letter makes the dead letter of an entry. It names the position of the first event behind the finding.
func (o *outlet) letter(e store.Outgoing, reason, detail string, attempts int) (store.DeadLetter, error) {
	body, err := json.Marshal(e.Finding)
	if err != nil {
		return store.DeadLetter{}, fmt.Errorf("encode finding of entry %d: %w", e.Seq, err)
	}
	l := store.DeadLetter{Kind: o.profile.Dead, Reason: reason, Detail: detail, Time: o.instant(), Sink: o.name,
		Attempts: attempts, Entry: e.Seq, Type: e.Type, Body: string(body)}
	if len(e.Finding.Evidence) > 0 {
		v := &e.Finding.Evidence[0]
		l.Topic, l.Partition, l.Offset, l.Index = v.Topic, v.Partition, v.Offset, v.Index
	}
	return l, nil
}
