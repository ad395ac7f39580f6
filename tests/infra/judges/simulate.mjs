// Requests with the policies that decide on them in, an answer for each out, as JSON on stdin and stdout:
// "Allowed", "ImplicitlyDenied", "ExplicitlyDenied", or what is wrong with the request.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const infra = createRequire(new URL("../../../infra/package.json", import.meta.url));
const { runSimulation } = infra("@cloud-copilot/iam-simulate");

const answers = [];
for (const simulation of JSON.parse(await text(process.stdin))) {
  const { overallResult, errors } = await runSimulation(simulation, {});
  answers.push(errors ? `${errors.message} ${simulation.request.resource.resource}` : overallResult);
}
console.log(JSON.stringify(answers));
