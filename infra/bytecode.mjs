// Python's own `compileall`, in the Python that Pyodide is: `node bytecode.mjs <cache tag> <folder> <option>...`
// The folder is mounted where Lambda will have it; options and exit status are those of `python -m compileall`.
import { loadPyodide } from "pyodide";

const [tag, folder, ...options] = process.argv.slice(2);
const python = await loadPyodide({ env: { PYTHONHASHSEED: "0" } });
const { cache_tag: theirs } = python.pyimport("sys").implementation;
if (theirs === tag) {
  python.mountNodeFS("/var/task", folder);
  python.pyimport("sys").argv = python.toPy(["compileall", ...options, "/var/task"]);
  process.exitCode = python.pyimport("compileall").main() ? 0 : 1;
} else {
  console.error(`bytecode.mjs: Pyodide is ${theirs} and ${tag} is wanted: another one in infra/package.json`);
  process.exitCode = 1;
}
