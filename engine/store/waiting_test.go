package store

import "testing"

// TestWaitingWhileDelivered asks how far a sink is while it moves on: an entry that is deleted in this moment, because
// every sink has it, is no damage.
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
		fill(t, s, n, 1)
		mustAdvance(t, s, "a", &Advance{Cursor: uint64(n) + 2})
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
