// Scans a bar code or QR code where the browser can (BarcodeDetector), else nothing is offered: typing always works.
(function () {
  "use strict";
  var button = document.querySelector("[data-scan]");
  var video = document.querySelector("[data-scan-video]");
  var note = document.querySelector("[data-scan-note]");
  if (!button || !("BarcodeDetector" in window) || !navigator.mediaDevices) return;
  button.hidden = false;

  // The QR code on a machine's screen is the address of its page here.
  function key(text) {
    try {
      var url = new URL(text);
      if (url.pathname.indexOf("/p/") === 0) return decodeURIComponent(url.pathname.slice(3));
    } catch (e) { /* not an address: a serial number */ }
    return text.trim();
  }

  button.addEventListener("click", function () {
    note.textContent = "Point the camera at the label.";
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).then(function (stream) {
      var detector = new window.BarcodeDetector();
      video.hidden = false;
      video.srcObject = stream;
      video.play();
      function stop() { stream.getTracks().forEach(function (t) { t.stop(); }); video.hidden = true; }
      function look() {
        detector.detect(video).then(function (codes) {
          if (codes.length === 0) { requestAnimationFrame(look); return; }
          stop();
          var input = document.getElementById("q");
          input.value = key(codes[0].rawValue).slice(0, 128);
          input.form.requestSubmit();
        }, function () { requestAnimationFrame(look); });
      }
      look();
    }, function () { note.textContent = "The camera cannot be used: type the number."; });
  });
})();
