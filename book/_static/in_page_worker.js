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
  const say = { batched: (text) => postMessage({ text }) };
  loaded.setStdout(say);
  loaded.setStderr(say);
  return loaded;
};

const execute = async (code) => {
  await python.loadPackagesFromImports(code, { messageCallback: () => {} });
  await python.runPythonAsync(code, { filename: "cell" });
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
    const [, own] = error.message.split(/^(?=  File "cell")/m);
    postMessage({ text: own ?? error.message });
    postMessage({ ended: "The code stopped with an error." });
  }
};
