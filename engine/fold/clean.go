package fold

import "github.com/zeebo/xxh3"

// clean remembers texts that were looked at for credentials and have none: most texts of an event are those of many
// others, its agent, its session, what it does. It is a memory of what a pure function returned, so what it holds never
// shows.
type clean struct {
	slots []cleanText // made when the first text comes
}

const (
	// cleanSlots is how many texts are remembered: 24 KB a worker, which stay near the CPU.
	cleanSlots = 256
	// maxClean is the size in bytes of the longest: an ARN, a session's id. Of longer ones few come twice.
	maxClean = 95
)

type cleanText struct {
	n    uint8 // bytes of text, 0: none
	text [maxClean]byte
}

// slot returns where the text is remembered if it is, nil where it never is.
func (c *clean) slot(text string) *cleanText {
	if len(text) == 0 || len(text) > maxClean {
		return nil
	}
	if c.slots == nil {
		c.slots = make([]cleanText, cleanSlots)
	}
	return &c.slots[xxh3.HashString(text)%cleanSlots]
}

func (t *cleanText) is(text string) bool { return string(t.text[:t.n]) == text }

func (t *cleanText) set(text string) { t.n = uint8(copy(t.text[:], text)) }
