package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
)

// checkOutbox closes the gate while the outbox is full, and opens it when there is room again, whether or not anything
// moves.
func (c *checkpointer) checkOutbox() {
	if c.store == nil {
		return
	}
	why := ""
	if c.store.OutboxFull() {
		why = "the outbox is full: a sink that may not lose findings is away; reading goes on when it drains"
	}
	c.gate.Set(why)
}

// commit writes the checkpoint, and tries again until it succeeds; until then reading is paused, and nothing is lost. If it
// has to give up because the engine stops, the previous checkpoint counts, and the input after it is read again.
func (c *checkpointer) commit(ctx context.Context, cp *store.Checkpoint) error {
	pauses := storePauses()
	logged := "" // the last failure that was logged: each change is logged once
	var failure *checkpointFailure
	for {
		err := c.try(cp)
		if err == nil {
			if logged != "" {
				c.log.Info("checkpoint written; reading goes on")
			}
			c.noteFailure(failure)
			c.checkOutbox()
			return nil
		}
		if failure == nil {
			failure = &checkpointFailure{since: c.clock.Now()}
		}
		failure.err = err
		pause := pauses.Next()
		c.gate.Set(fmt.Sprintf("the state directory cannot be written: %v", err))
		if err.Error() != logged {
			logged = err.Error()
			c.log.Error("checkpoint write failed, retrying; reading is paused until it succeeds", "error", err, "pause", pause)
		}
		if !c.pause(ctx, pause, err) {
			if err = c.try(cp); err != nil { // the last attempt
				c.abandoned = err
			}
			return err
		}
	}
}

// try writes the checkpoint once and records the outcome for Status.
func (c *checkpointer) try(cp *store.Checkpoint) error {
	err := c.write(cp)
	c.budget.Failing(err != nil)
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	return err
}

// pause waits before the next attempt, and answers requests for a checkpoint with the failure until then. It returns
// false if the engine stops.
func (c *checkpointer) pause(ctx context.Context, d time.Duration, failure error) bool {
	tick, stop := c.clock.Tick(d)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case done := <-c.requests:
			done <- failure
		case r := <-c.stopping:
			c.stopping <- r // for run, which answers it
			return false
		case <-tick:
			return true
		}
	}
}
