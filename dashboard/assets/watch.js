/* The screen never lies: when no news has come for longer than the page promised, say so and grey out what is old. */
(function () {
  let seen = "", since = Date.now();
  function look() {
    const mark = document.querySelector(".wk-as-of");
    const frozen = document.getElementById("wk-frozen");
    if (!frozen) { return; }
    if (!mark) { since = Date.now(); document.body.classList.remove("wk-is-frozen"); return; }
    const at = mark.dataset.at;
    if (at !== seen) { seen = at; since = Date.now(); }
    const late = Date.now() - since > Number(mark.dataset.limit) * 1000;
    document.body.classList.toggle("wk-is-frozen", late);
  }
  window.setInterval(look, 500);
})();
