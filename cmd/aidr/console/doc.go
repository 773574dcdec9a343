// Package console is the web console for the people on duty: a queue of findings, the pages of findings, agents, containments and
// their proof, the inventory and the state of the pipeline. The process that runs the engine serves it.
//
//	browser -> listener -> headers, Host, Origin -> session -> scope -> view -> control API (cmd/aidr/api, in process)
//	                                                             |
//	                                                             +-> html/template, SVG
//
// Nothing is computed in a page. A view reads through the control API, as the commands of aidr do, with the caller of the session
// in the context of the request; so every number in a page is the number that a command prints, and the API checks the scope and
// audits the action again. A page names the command, and the query of ClickHouse, that show the same.
//
// # Hostile text
//
// The content of pages is text that attackers wrote. All of it goes through html/template, and no value has a type that would switch
// escaping off (a test bans them). Invisible and bidirectional characters are boxes with their names, see Runs; every text from an
// event is isolated (bdi), so that right-to-left letters cannot reorder what is beside them. No address from an event becomes a link.
// The Content-Security-Policy allows scripts, styles and forms of the console only, and no inline ones. htmx runs without its
// functions that evaluate text, and without a history cache.
//
// # Access
//
// A one-time link, a token of the control API, or a proxy with a client certificate opens a session: a random value in a cookie, of
// which the process keeps the SHA-256. Sessions end after Config.Session, after Config.Idle without a request, and with the process.
// Plain HTTP is served on loopback only. Requests for another host name, and changes that a page of another origin sends, are refused.
// Actions are POST requests.
//
// # Live parts
//
// A page opens one stream of server-sent events. It carries numbers of versions only, never content: the newest replaces the older
// ones, and the page then reads its part again. So a client that does not read costs nothing but its connection, which a write
// deadline closes. A hidden page closes its stream.
//
// # The address is the state
//
// What a page shows is in its address: filters, times, position. Times in links are absolute. Pages continue after a key
// (group_start and id of a finding), so that new findings do not shift them.
package console
