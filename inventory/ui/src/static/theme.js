// Runs before the first paint, so that a dark page does not flash white.
(function () {
  var stored = null;
  try { stored = localStorage.getItem("slipway-theme"); } catch (e) { /* storage may be forbidden */ }
  var dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.setAttribute("data-bs-theme", dark ? "dark" : "light");
})();
