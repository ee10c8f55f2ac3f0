// Slides: the arrow keys, the space bar and the page keys turn them over, Home and End go to the first and the last.
(() => {
  const slides = [...document.querySelectorAll("main > section")];
  const here = () => slides.findIndex((slide) => slide.getBoundingClientRect().bottom > innerHeight / 2);
  const STEPS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const ends = { Home: 0, End: slides.length - 1 };
    const to = ends[event.key] ?? here() + STEPS[event.key] * (event.shiftKey && event.key === " " ? -1 : 1);
    if (!slides[to]) return;
    event.preventDefault();
    slides[to].scrollIntoView();
    slides[to].focus({ preventScroll: true }); // so that a screen reader goes on from there
  });
})();
