package engine

// seats bounds the number of workers and shards that are busy at the same time to the cores of the engine. There are more of
// them than cores, and the runtime gives each busy goroutine slices of 10 ms in turn, so without the bound a goroutine that
// answers a gateway waits for all of them, and stopping the world for the collector waits for threads that the kernel has
// put aside. A worker holds a seat for a batch, a shard for a message. Neither waits for another stage meanwhile.
type seats chan struct{}

func newSeats(cores int) seats { return make(seats, cores) }

func (s seats) take() { s <- struct{}{} }

func (s seats) leave() { <-s }
