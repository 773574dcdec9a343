package expr

import (
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
)

// prepared holds the syntax trees of conditions that were parsed before they are compiled. Parsing takes most of the time of
// compiling an operand, and unlike the rest of it runs on all cores.
type prepared struct {
	mu    sync.Mutex
	trees map[string]*cel.Ast // by text; nil: the text is being parsed, or a tree was taken
}

// Prepare parses a condition, or the operands of its &&, for a later call of Compile. Several goroutines may call it at once,
// also while another one compiles. It has no other effect than to make Compile faster.
func (v *Env) Prepare(text string) {
	if utf8.RuneCountInString(text) > maxExpressionRunes || !utf8.ValidString(text) || depthOf(text) > maxOperandDepth {
		return
	}
	texts := splitConjuncts(text)
	if len(texts) < 2 {
		texts = []string{text}
	}
	for _, t := range texts {
		if v.prepared.claim(t) {
			if tree, iss := v.cel.Parse(t); iss.Err() == nil {
				v.prepared.put(t, tree)
			}
		}
	}
}

// claim reports whether the caller is the first to prepare the text.
func (p *prepared) claim(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.trees[text]; known {
		return false
	}
	if p.trees == nil {
		p.trees = map[string]*cel.Ast{}
	}
	p.trees[text] = nil
	return true
}

func (p *prepared) put(text string, tree *cel.Ast) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trees[text] = tree
}

// take returns the tree of a text, or nil if it is not prepared. A tree is taken once, because compiling changes it.
func (p *prepared) take(text string) *cel.Ast {
	p.mu.Lock()
	defer p.mu.Unlock()
	tree := p.trees[text]
	if tree != nil {
		p.trees[text] = nil
	}
	return tree
}

// parse returns the syntax tree of a text.
func (v *Env) parse(text string) (*cel.Ast, []Issue) {
	if tree := v.prepared.take(text); tree != nil {
		return tree, nil
	}
	tree, iss := v.cel.Parse(text)
	if iss.Err() != nil {
		return nil, issuesOf(iss)
	}
	return tree, nil
}

// Forget drops what Prepare parsed and Compile did not use.
func (v *Env) Forget() {
	v.prepared.mu.Lock()
	defer v.prepared.mu.Unlock()
	v.prepared.trees = nil
}
