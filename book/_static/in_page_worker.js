// Python for in_page.js. Asked {code, address, archive}, it answers {started}, {text} and {figure}, and at last {ended},
// or {lost} where Python cannot be had.

// What the closed forms and the loop import; what else a cell imports is brought when it is run.
const PACKAGES = ["numpy", "scipy", "pydantic"];

// Figures that a cell has drawn, as SVG, and closed.
const DRAWN = `
import sys
def drawn():
    import io
    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else ():
        file = io.StringIO()
        pyplot.figure(number).savefig(file, format="svg", bbox_inches="tight")
        pyplot.close(number)
        yield file.getvalue()
list(drawn())`;

let python;

const load = async (address, archive) => {
  const { loadPyodide } = await import(new URL("pyodide.mjs", address).href);
  const loaded = await loadPyodide({ indexURL: address, env: { MPLBACKEND: "agg" } });
  await loaded.loadPackage(PACKAGES, { messageCallback: () => {} });
  const packed = await fetch(archive);
  if (!packed.ok) throw new Error(`${archive}: ${packed.status}`);
  loaded.unpackArchive(await packed.arrayBuffer(), "zip");
  const letters = new TextDecoder();
  const write = (bytes) => {
    postMessage({ text: letters.decode(bytes, { stream: true }) });
    return bytes.length;
  };
  loaded.setStdout({ write, isatty: true }); // a terminal is written to line by line
  loaded.setStderr({ write, isatty: true });
  return loaded;
};

const execute = async (code) => {
  await python.loadPackagesFromImports(code, { messageCallback: () => {} });
  try {
    await python.runPythonAsync(code, { filename: "cell" });
  } finally {
    python.runPython("import sys; sys.stdout.flush()");
  }
  for (const svg of python.runPython(DRAWN).toJs())
    postMessage({ figure: `data:image/svg+xml,${encodeURIComponent(svg)}` });
};

onmessage = async ({ data: { code, address, archive } }) => {
  try {
    python ??= await load(address, archive);
  } catch (error) {
    return postMessage({ lost: `Python could not be loaded from ${address}; is there a network?` });
  }
  postMessage({ started: true });
  try {
    await execute(code);
    postMessage({ ended: "Done. The code can be changed; Control and Enter run it again, too." });
  } catch (error) {
    // Above the cell's own lines stand those of Pyodide.
    const own = Math.max(error.message.search(/^ +File "cell"/m), 0);
    postMessage({ text: `\n${error.message.slice(own)}` });
    postMessage({ ended: "The code stopped with an error." });
  }
};
