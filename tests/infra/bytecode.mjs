// What Lambda's Python says of a bundle's bytecode, as JSON, one list of flaws: `node bytecode.mjs <bundle>`.
// Its modules are loaded as the import system does: magic number, hash of the source, code.
import { loadPyodide } from "../../infra/node_modules/pyodide/pyodide.mjs";

const python = await loadPyodide();
python.mountNodeFS("/var/task", process.argv[2]);
console.log(python.runPython(`
import importlib.util, json, pathlib
from importlib.machinery import SourcelessFileLoader

CHECKED_BY_NOBODY = (1).to_bytes(4, "little")  # PEP 552
flaws = []
for source in sorted(pathlib.Path("/var/task").rglob("*.py")):
    compiled = pathlib.Path(importlib.util.cache_from_source(source))
    if compiled.exists():
        data = compiled.read_bytes()
        if data[4:16] != CHECKED_BY_NOBODY + importlib.util.source_hash(source.read_bytes()):
            flaws.append(f"{compiled}: not of this source")
        try:
            code = SourcelessFileLoader("module", str(compiled)).get_code("module")
        except ImportError as error:
            flaws.append(str(error))
        else:
            if code.co_filename != str(source):
                flaws.append(f"{compiled}: says {code.co_filename}")
json.dumps(flaws)
`));
