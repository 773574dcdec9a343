//go:build race

package expr

// underRace says that the race detector is on: sync.Pool, which regexp uses, then drops what it holds at random.
const underRace = true
