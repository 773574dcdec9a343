package scan_test

import (
	"fmt"

	"github.com/aidr-engine/aidr/schema/scan"
)

// One pass validates the whole text and finds the wanted paths.
func ExampleTrie_Select() {
	var trie scan.Trie
	model, tokens := trie.Add("model"), trie.Add("usage", "total_tokens")
	out := make([]scan.Span, trie.Len())

	src := `{"model":"gpt-4o","usage":{"total_tokens":"17"},"messages":[{"role":"user"}]}`
	if _, err := trie.Select(src, out); err != nil {
		fmt.Println(err)
		return
	}
	var arena scan.Arena
	n, ok := scan.Int(src, out[tokens]) // numbers may be strings
	fmt.Println(scan.Text(src, out[model], &arena), n, ok)

	_, err := trie.Select(`{"model":gpt-4o}`, out)
	fmt.Println(err)
	// Output:
	// gpt-4o 17 true
	// byte 9: malformed JSON
}

// An array of records is selected from in the pass that validates the whole text, one element after another.
func ExampleTrie_OpenRecords() {
	var trie scan.Trie
	records, name := trie.OpenRecords("Records"), trie.Add("eventName")
	var index scan.Index
	found := trie.Found(&index)

	src := `{"Records":[{"eventName":"GetObject"},{"eventName":"PutObject"}]}`
	if _, err := found.Select(src); err != nil {
		fmt.Println(err)
		return
	}
	var arena scan.Arena
	index.Each(src, found.Spans[records], func(record scan.Span) bool {
		found.SelectAt(src, record)
		fmt.Println(scan.Text(src, found.Spans[name], &arena))
		return true
	})
	// Output:
	// GetObject
	// PutObject
}
