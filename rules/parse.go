package rules

import (
	"crypto/sha256"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/aidr-engine/aidr/rules/doc"
)

// parsed is a rule file that was read: the compiled file, if it was compiled before, or its YAML. root is nil if the file has
// no readable structure.
type parsed struct {
	source
	digest   digest
	doc      *doc.Doc
	root     *doc.Node
	isFolder bool // the path is a link to a folder
	err      error
}

const (
	// parseTogether is the number of files that a worker parses between two meetings with the compiler.
	parseTogether = 16
	// parseAhead is the number of such groups, for each core, that may wait for the compiler. It is small because parsed
	// files are large.
	parseAhead = 4
)

// parsing is a group of files that a worker parses.
type parsing struct {
	sources []source
	files   []parsed
	done    sync.WaitGroup
}

// parse reads and parses the files on all cores and returns them in their order. It runs ahead of the compiler, for which it
// also prepares the conditions.
func parse(k *Kept, sources []source) iter.Seq[*parsed] {
	return func(yield func(*parsed) bool) {
		workers := min(runtime.GOMAXPROCS(0), runtime.NumCPU()) // aidr run has threads beyond the cores, for other work
		todo, ordered := make(chan *parsing), make(chan *parsing, parseAhead*workers)
		go func() {
			defer close(todo)
			defer close(ordered)
			for together := range slices.Chunk(sources, parseTogether) {
				p := &parsing{sources: together}
				p.done.Add(1)
				ordered <- p
				todo <- p
			}
		}()
		for range workers {
			go func() {
				for p := range todo {
					p.run(k)
				}
			}()
		}
		stopped := false
		for p := range ordered { // to the end, so that no goroutine is left
			p.done.Wait()
			for i := 0; i < len(p.files) && !stopped; i++ {
				stopped = !yield(&p.files[i])
			}
			p.files = nil
		}
	}
}

// run parses the files of the group.
func (p *parsing) run(k *Kept) {
	defer p.done.Done()
	p.files = make([]parsed, len(p.sources))
	for i, s := range p.sources {
		p.files[i].source = s
		if s.kept == nil {
			p.files[i].read(k)
		}
	}
}

// read reads the file, and parses it unless it was compiled before.
func (f *parsed) read(k *Kept) {
	text, err := doc.ReadFile(f.fsys, f.path, doc.MaxSize)
	if f.err, f.isFolder = err, text == nil; err != nil || f.isFolder {
		return
	}
	f.digest = sha256.Sum256(text)
	if old := k.byName[f.name]; old != nil && old.digest == f.digest {
		f.kept = old
		return
	}
	f.doc, f.root = doc.Parse(f.name, text)
	if f.root == nil || f.root.Kind != doc.Map {
		return
	}
	f.root.Each(func(name, value *doc.Node) {
		if name.String() == "when" && value.Kind == doc.Text {
			k.compiler.env.Prepare(value.String())
		}
	})
}
