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

  // A chosen file is read into the form, where it can be looked at before it is sent.
  document.querySelectorAll("[data-file]").forEach(function (el) { el.hidden = false; });
  document.addEventListener("change", function (event) {
    var input = event.target.closest("[data-file-into]");
    if (!input || !input.files.length) return;
    var file = input.files[0];
    var note = document.querySelector("[data-file-note]");
    var into = document.getElementById(input.dataset.fileInto);
    if (file.size > Number(input.dataset.fileMax)) {
      note.textContent = file.name + " is too large for this page: slipway import takes it.";
      return;
    }
    file.arrayBuffer().then(function (bytes) {
      into.value = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      note.textContent = file.name + ", as it will be imported:";
    }).catch(function () {
      note.textContent = file.name + " is not UTF-8 text. A spreadsheet: save it as CSV UTF-8 first.";
    });
  });
})();
