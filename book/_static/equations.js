// An equation that is wider than its column scrolls in its own box; so that the keyboard can reach it, it takes the focus.
MathJax.startup.promise.then(() => {
  const equations = document.querySelectorAll("mjx-container[display=true]");
  const reach = () => {
    for (const equation of equations) {
      if (equation.scrollWidth > equation.clientWidth) equation.tabIndex = 0;
      else equation.removeAttribute("tabindex");
    }
  };
  reach();
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true); // what was folded has no width until then
});
