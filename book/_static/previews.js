// What a link inside the book leads to, shown while the pointer or the keyboard rests on it: a term, a work, a figure,
// an equation, an exercise, the beginning of a section. From the disk only targets on the same page can be read.
document.addEventListener("DOMContentLoaded", () => {
  const article = document.querySelector("article");
  if (!article) return;
  const pages = new Map([[location.pathname, Promise.resolve(document)]]);
  const box = document.createElement("div");
  box.className = "preview";
  box.id = "preview";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  document.body.append(box);
  let current = null;
  let waiting = 0;

  const page = (url) => {
    if (!pages.has(url.pathname)) {
      if (location.protocol === "file:") return Promise.resolve(null);
      const read = fetch(url.pathname)
        .then((answer) => (answer.ok ? answer.text() : ""))
        .then((text) => new DOMParser().parseFromString(text, "text/html"));
      pages.set(url.pathname, read);
    }
    return pages.get(url.pathname);
  };

  // The part of a page that says what its target is, as a copy without anything that has a meaning only there.
  const excerpt = (target, url) => {
    const parts = [];
    if (target.matches("dt")) parts.push(target, target.nextElementSibling);
    else if (target.matches("section"))
      parts.push(...[...target.querySelectorAll(":scope > :is(h1, h2, h3, h4), :scope > p")].slice(0, 2));
    else if (target.matches("figure, div.math, div.citation, div.exercise, div.proof, table, p, li")) parts.push(target);
    else parts.push(target.closest("tr, figure, p, li, dd") ?? target);
    const copies = parts.filter(Boolean).map((part) => part.cloneNode(true));
    for (const copy of copies) {
      copy.querySelectorAll("script, form, .headerlink, .legend a").forEach((part) => part.remove());
      for (const part of [copy, ...copy.querySelectorAll("*")]) {
        part.removeAttribute("id");
        if (part.hasAttribute("src")) part.src = new URL(part.getAttribute("src"), url).href;
        if (part.hasAttribute("href")) part.href = new URL(part.getAttribute("href"), url).href;
      }
    }
    return copies;
  };

  const hide = () => {
    clearTimeout(waiting);
    current?.removeAttribute("aria-describedby");
    current = null;
    box.hidden = true;
  };

  // Sets the equations of an excerpt; a page without any of its own loads now what that takes.
  const typeset = async () => {
    if (!box.querySelector(".math") || box.querySelector("mjx-container")) return;
    if (!window.MathJax) {
      window.MathJax = { startup: { typeset: false } };
      const script = document.createElement("script");
      script.src = `${document.documentElement.dataset.content_root}_static/mathjax/tex-chtml.js`;
      const loaded = new Promise((done) => script.addEventListener("load", done));
      document.head.append(script);
      await loaded;
    }
    await MathJax.startup.promise;
    await MathJax.typesetPromise([box]);
  };

  const show = async (link) => {
    const url = new URL(link.href);
    const name = decodeURIComponent(url.hash.slice(1));
    const found = name && (await page(url))?.getElementById(name);
    if (!found || current !== link) return;
    box.replaceChildren(...excerpt(found, url));
    box.hidden = false;
    await typeset();
    if (current !== link) return;
    link.setAttribute("aria-describedby", "preview");
    const at = link.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, innerWidth - box.offsetWidth - 8));
    const below = at.bottom + box.offsetHeight + 8 < innerHeight;
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(below ? at.bottom + 4 : Math.max(8, at.top - box.offsetHeight - 4)) + scrollY}px`;
  };

  const begin = (event) => {
    const link = event.target.closest?.("a[href*='#']");
    if (!link || link.classList.contains("headerlink") || link.origin !== location.origin || link === current) return;
    if (event.pointerType && event.pointerType !== "mouse") return;
    hide();
    current = link;
    waiting = setTimeout(() => show(link), 250);
  };
  const end = (event) => {
    const to = event.relatedTarget;
    if (current && !current.contains(to) && !box.contains(to)) waiting = setTimeout(hide, 200);
  };
  article.addEventListener("pointerover", begin);
  article.addEventListener("focusin", begin);
  article.addEventListener("pointerout", end);
  article.addEventListener("focusout", end);
  box.addEventListener("pointerenter", () => clearTimeout(waiting));
  box.addEventListener("pointerleave", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
});
