// Code that runs in its page. Nothing is loaded before its button is pressed; then Python works in a worker of its own,
// so that the page stays alive.
(() => {
  const { src, dataset } = document.currentScript;
  const beside = (file) => new URL(file, src).href;
  const made = (kind, properties) => Object.assign(document.createElement(kind), properties);

  const FROM_A_SERVER =
    "A browser runs code only in pages from a server: call python -m http.server in the folder of the book, " +
    "and open http://localhost:8000.";
  const LOADING = "Loading Python, about 30 MB, which the browser keeps for the next time ...";
  const RUNNING = "Running ...";

  const start = (cell) => {
    const code = cell.querySelector(".cell_input pre");
    // A chapter that was not run yet has no output.
    const output = cell.querySelector(".cell_output") ?? cell.appendChild(made("div", { className: "cell_output" }));
    const button = made("button", { type: "button", textContent: "Run it in this page" });
    const status = made("p", { role: "status", ariaLive: "polite" });
    const bar = made("div", { className: "in-page" });
    bar.append(button, status);
    output.before(bar);

    let worker;
    let running = false;
    const end = (how) => {
      running = false;
      button.textContent = "Run it again";
      status.textContent = how;
    };
    const stop = (why) => {
      worker.terminate();
      worker = undefined;
      end(why);
    };
    const editable = () => {
      Object.assign(code, { contentEditable: "plaintext-only", spellcheck: false });
      Object.assign(code, { role: "textbox", ariaMultiLine: "true", ariaLabel: "Code, which can be changed" });
    };
    const hear = ({ data }) => {
      if (data.started) {
        status.textContent = RUNNING;
        editable();
        output.replaceChildren(made("pre", {}));
      }
      if (data.text) output.firstChild.append(data.text);
      if (data.figure) output.append(made("img", { src: data.figure, alt: "What the code above draws" }));
      if (data.ended) end(data.ended);
      if (data.lost) stop(data.lost);
    };
    const run = () => {
      if (location.protocol === "file:") {
        status.textContent = FROM_A_SERVER;
        return;
      }
      running = true;
      button.textContent = "Stop";
      status.textContent = worker ? RUNNING : LOADING;
      if (!worker) {
        worker = new Worker(beside("in_page_worker.js"), { type: "module" });
        worker.onmessage = hear;
        worker.onerror = () => stop("This browser cannot run Python in a page.");
      }
      worker.postMessage({ code: code.innerText, address: dataset.pyodide, archive: beside("model_collapse.zip") });
    };
    button.addEventListener("click", () => (running ? stop("Stopped.") : run()));
    code.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (!running) run();
    });
  };

  document.querySelectorAll(".cell.tag_in-page").forEach(start);
})();
