// What HTML cannot do by itself: running clocks, the theme switch, the confirmation dialog.
(function () {
  "use strict";

  function duration(ms) {
    var s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
    if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
    return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
  }
  function two(a, au, b, bu) { return b === 0 ? a + " " + au : a + " " + au + " " + b + " " + bu; }
  function ago(ms) {
    var s = Math.max(0, Math.floor(ms / 1000));
    if (s < 2) return "just now";
    if (s < 60) return s + " s ago";
    if (s < 3600) return Math.floor(s / 60) + " min ago";
    if (s < 86400) return Math.floor(s / 3600) + " h ago";
    return Math.floor(s / 86400) + " d ago";
  }
  function each(selector, text) {
    document.querySelectorAll(selector).forEach(function (el) {
      var words = text(el);
      if (el.textContent !== words) el.textContent = words;
    });
  }
  function tick() {
    var now = Date.now() + skew;
    each("[data-ago]", function (el) { return ago(now - el.dataset.ago); });
    each("[data-since]", function (el) { return duration(now - el.dataset.since); });
    each("[data-until]", function (el) { return duration(el.dataset.until - now); });
  }
  // The server's clock counts: a browser that is some minutes off must not show negative times.
  var skew = 0;
  var stamp = document.querySelector("meta[name=server-time]");
  if (stamp) skew = Number(stamp.content) - Date.now();
  setInterval(tick, 1000);

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-theme-toggle]")) {
      var root = document.documentElement;
      var next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      root.setAttribute("data-bs-theme", next);
      try { localStorage.setItem("slipway-theme", next); } catch (e) { /* storage may be forbidden */ }
      return;
    }
    var dialog = document.getElementById("dialog");
    if (event.target === dialog || (dialog.open && event.target.closest("[data-close]"))) {
      event.preventDefault();
      dialog.close();
    }
  });

  // htmx has put a question into the dialog: show it.
  new MutationObserver(function () {
    var dialog = document.getElementById("dialog");
    if (dialog && !dialog.open && document.querySelector("#dialog-body form")) dialog.showModal();
  }).observe(document.getElementById("dialog-body"), { childList: true });
})();
