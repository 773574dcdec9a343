// The script of the console. It adds local times, keys, charts and the stream of changes. Pages work without it. It makes no
// markup out of text: text goes into textContent only.
(function () {
  "use strict";
  var root = document.documentElement;

  function localTimes(within) {
    within.querySelectorAll("time[datetime]:not([data-done])").forEach(function (t) {
      t.dataset.done = "1";
      var at = new Date(t.getAttribute("datetime"));
      if (isNaN(at) || at.getTimezoneOffset() === 0) return;
      var s = document.createElement("span");
      s.className = "local";
      s.textContent = at.toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }) + " here";
      t.after(s);
    });
  }

  function colour(name) { return getComputedStyle(root).getPropertyValue(name).trim(); }

  function charts(within) {
    if (!window.uPlot) return;
    within.querySelectorAll("[data-chart]:not([data-done])").forEach(function (el) {
      el.dataset.done = "1";
      var d = JSON.parse(el.dataset.chart);
      function clock(u, splits) {
        var days = d.t[d.t.length - 1] - d.t[0] > 172800;
        return splits.map(function (s) { var t = new Date(s * 1e3).toISOString(); return days ? t.slice(5, 10) : t.slice(11, 16); });
      }
      var axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "11px system-ui" };
      var plot = new uPlot({
        width: el.clientWidth, height: 110, legend: { show: false }, cursor: { drag: { x: false, y: false } },
        tzDate: function (s) { return uPlot.tzDate(new Date(s * 1e3), "Etc/UTC"); },
        scales: { y: { range: function (u, min, max) { return [0, Math.max(1, max)]; } } },
        axes: [Object.assign({ values: clock, size: 28 }, axis), Object.assign({ size: 38, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, axis)],
        series: [{}, { label: d.label, stroke: colour("--bar"), fill: colour("--bar"), width: 1, paths: uPlot.paths.bars({ size: [0.85, 60], align: 1 }), points: { show: false } }]
      }, [d.t, d.v], el);
      new ResizeObserver(function () { if (el.clientWidth > 0) plot.setSize({ width: el.clientWidth, height: 110 }); }).observe(el);
    });
  }

  // Buttons that work with a script only are hidden in the page as it is sent.
  function buttons() {
    document.querySelectorAll("#pause, [data-copy]").forEach(function (b) { b.hidden = b.id === "pause" ? !document.body.dataset.live : !navigator.clipboard; });
  }
  function prepare(within) { localTimes(within); charts(within); buttons(); }

  // The stream carries numbers of versions. A new one makes the page read its live part again. A hidden page has no stream.
  var source = null, shown = null, busy = false, again = false, paused = false;
  function follow() {
    var of = document.body.dataset.live;
    if (!of || document.hidden || source) return;
    if (shown === null) shown = document.body.dataset.version;
    if (paused) return;
    source = new EventSource("/live?of=" + encodeURIComponent(of) + (of === "tail" ? "&filter=" + encodeURIComponent(new URLSearchParams(location.search).get("filter") || "") : ""));
    source.addEventListener("version", function (e) {
      if (e.data !== shown) { shown = e.data; refresh(); }
    });
    source.onerror = function () { if (source && source.readyState === 2) source = null; };
  }
  function unfollow() { if (source) { source.close(); source = null; } }
  function refresh() {
    var live = document.getElementById("live"), note = document.getElementById("updated");
    if (!live || !window.htmx) return;
    var active = document.activeElement;
    if (active && live.contains(active) && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName)) { note.hidden = false; return; }
    if (busy) { again = true; return; }
    busy = true;
    var open = Array.prototype.map.call(live.querySelectorAll("details[open][id]"), function (d) { return d.id; });
    htmx.ajax("GET", location.pathname + location.search, { target: "#live", select: "#live", swap: "outerHTML" }).then(function () {
      open.forEach(function (id) { var d = document.getElementById(id); if (d) d.open = true; });
    }, function () {}).finally(function () {
      busy = false; note.hidden = true;
      if (again) { again = false; setTimeout(refresh, 300); }
    });
  }
  function pause() {
    var b = document.getElementById("pause");
    paused = !paused;
    b.textContent = paused ? "Go on" : "Pause";
    b.setAttribute("aria-pressed", String(paused));
    if (paused) unfollow(); else { follow(); refresh(); }
  }
  document.addEventListener("visibilitychange", function () { if (document.hidden) unfollow(); else follow(); });
  window.addEventListener("pagehide", unfollow);

  // Keys: j and k move, Enter opens, a acknowledges, c opens the dialog of a containment, / searches. They are off in fields.
  function items() { return Array.prototype.slice.call(document.querySelectorAll("#live tr.item a.title")); }
  function move(step) {
    var all = items();
    if (!all.length) return;
    var at = all.indexOf(document.activeElement);
    all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + step))].focus();
  }
  function current() {
    var a = document.activeElement;
    return a && a.closest && a.closest("tr.item") || document.querySelector("[data-subject]");
  }
  document.addEventListener("keydown", function (e) {
    if (document.body.dataset.keys !== "on" || e.ctrlKey || e.metaKey || e.altKey) return;
    var t = e.target;
    if (t && (/^(INPUT|SELECT|TEXTAREA)$/.test(t.tagName) || t.isContentEditable)) return;
    var row, link;
    switch (e.key) {
      case "j": move(1); break;
      case "k": move(-1); break;
      case "/": document.getElementById("search").focus(); break;
      case "c": row = current(); link = row && row.querySelector("[data-key=contain]"); if (!link) return; link.click(); break;
      case "a": row = current(); link = row && row.querySelector("[data-key=ack]"); if (!link) return; link.click(); break;
      default: return;
    }
    e.preventDefault();
  });

  document.addEventListener("click", function (e) {
    var from = e.target && e.target.dataset && e.target.dataset.copy ? e.target.previousElementSibling : null;
    if (from && navigator.clipboard) navigator.clipboard.writeText(from.textContent).then(function () { e.target.textContent = "Copied"; }, function () {});
    if (e.target && e.target.id === "pause") pause();
    if (e.target && e.target.id === "updated") { document.activeElement.blur(); refresh(); }
  });
  document.addEventListener("htmx:afterSwap", function (e) { prepare(e.detail.target.isConnected ? e.detail.target : document.body); prepare(document.body); });
  document.addEventListener("DOMContentLoaded", function () { prepare(document.body); follow(); });
  if (document.readyState !== "loading") { prepare(document.body); follow(); }
})();
