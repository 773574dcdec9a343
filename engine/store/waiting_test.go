package store

import "testing"

// TestWaitingWhileDelivered calls Waiting while the sink advances. The oldest entry may be deleted at that moment, because
// every sink has it; Waiting must not report that as damage.
func TestWaitingWhileDelivered(t *testing.T) {
	s := openMemory(t, Options{})
	mustSinks(t, s, SinkSpec{Name: "a"})
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if _, err := s.Waiting("a"); err != nil {
				ended <- err
				return
			}
		}
	}()
	for n := range 2000 {
		commitEntries(t, s, n, 1)
		mustAdvance(t, s, "a", &Advance{Cursor: uint64(n) + 2})
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
