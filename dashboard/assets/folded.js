/* What a reader has unfolded stays unfolded when the page is drawn anew: a plan that is being read must not close. */
(function () {
  const MOST = 200;
  const unfolded = new Set();
  const one = "details[data-fold]";

  /* Not one that was folded by being taken away: it is no longer in the document. */
  document.addEventListener("toggle", function (event) {
    const part = event.target;
    if (!part.matches || !part.matches(one) || !part.isConnected) { return; }
    if (!part.open) { unfolded.delete(part.dataset.fold); return; }
    unfolded.add(part.dataset.fold);
    if (unfolded.size > MOST) { unfolded.delete(unfolded.values().next().value); }
  }, true);

  function again() {
    if (!unfolded.size) { return; }
    for (const part of document.querySelectorAll(one)) {
      if (!part.open && unfolded.has(part.dataset.fold)) { part.open = true; }
    }
  }
  new MutationObserver(again).observe(document.documentElement, { childList: true, subtree: true });
})();
