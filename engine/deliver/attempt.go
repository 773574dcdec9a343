package deliver

import (
	"log/slog"
	"sync"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// maxUnsaved is the number of attempts of deliveries that memory holds until they are in the store. Further ones have no row.
const maxUnsaved = 10_000

// attempts collects attempts of deliveries for the sinks of rows. It is safe for concurrent use.
type attempts struct {
	log *slog.Logger

	mu      sync.Mutex
	list    []*schema.Attempt
	omitted int // attempts that found no room

	saving sync.Mutex // held by save
}

func (a *attempts) add(one *schema.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) >= maxUnsaved {
		a.omitted++
		return
	}
	a.list = append(a.list, one)
}

// save puts the attempts into the store. They are kept if that fails.
func (a *attempts) save(s *store.Store) error {
	a.saving.Lock()
	defer a.saving.Unlock()
	a.mu.Lock()
	list, omitted := a.list, a.omitted
	a.list, a.omitted = nil, 0
	a.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	dropped, err := s.AddAttempts(list)
	if err != nil {
		a.mu.Lock()
		a.list, a.omitted = append(list, a.list...), a.omitted+omitted
		a.mu.Unlock()
		return err
	}
	if n := uint64(omitted) + dropped; n > 0 {
		a.log.Warn("attempts of deliveries have no row in ClickHouse: too many wait for it", "attempts", n)
	}
	return nil
}

// Attempted keeps an attempt of a delivery for the sinks of rows. If the process is killed within a few seconds, the attempt has no row.
func (d *Deliverer) Attempted(a *schema.Attempt) {
	if len(d.rows) > 0 {
		d.attempts.add(a)
	}
}

// RulesChanged makes the sinks of rows get the rules again.
func (d *Deliverer) RulesChanged() {
	for _, o := range d.rows {
		o.stale.Store(true)
		o.notify()
	}
}
