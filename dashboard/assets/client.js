/* Callbacks that run in the browser. No data is reached from here. */
window.dash_clientside = Object.assign({}, window.dash_clientside, {
  watchkeeper: {
    toggleTheme: function (clicks) {
      if (clicks) {
        const dark = /(?:^|; )wk-theme=dark/.test(document.cookie);
        document.cookie = "wk-theme=" + (dark ? "light" : "dark") + "; path=/; max-age=34560000; SameSite=Strict";
        window.location.reload();
      }
      return window.dash_clientside.no_update;
    },
    reload: function (done) {
      if (typeof done === "string" && done) { window.location.reload(); }
      return window.dash_clientside.no_update;
    },
    navbar: function (opened, navbar) {
      return Object.assign({}, navbar, { collapsed: { mobile: !opened } });
    },
    closed: function () { return false; },
  },
});

/* What stands in the document is not asked for again (dashboard/lean.py), once: later questions are real ones.
   A session that has ended shows the sign-in page, not a page that no longer changes. */
(function () {
  const ask = window.fetch;
  let leaving = false;
  function given(address) {
    const part = typeof address === "string" && document.getElementById(address.split("/").pop());
    if (!part || part.type !== "application/json") { return null; }
    part.remove();
    return new Response(part.textContent, { headers: { "Content-Type": "application/json" } });
  }
  window.fetch = async function (...args) {
    const answer = given(args[0]) || await ask.apply(this, args);
    if (answer.status === 401 && !leaving && new URL(answer.url).origin === window.location.origin) {
      leaving = true;
      window.location.reload();
    }
    return answer;
  };
})();
