// Reads {name: html} from stdin, writes {name: {invalid: [...], unsupported: [...]}}: what html-validate
// finds, and which features (caniemail.com's data) a big client drops.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../../infra/package.json", import.meta.url));
const { HtmlValidate, StaticConfigLoader } = require("html-validate");
const { caniemail } = await import(pathToFileURL(require.resolve("caniemail")));

const validator = new HtmlValidate(
  new StaticConfigLoader({
    root: true,
    extends: ["html-validate:standard"],
    // Outlook for Windows lays out with the attributes that HTML 5 replaced by CSS.
    rules: { "no-deprecated-attr": "off" },
  }),
);

const answer = {};
for (const [name, html] of Object.entries(JSON.parse(await text(process.stdin)))) {
  const report = await validator.validateString(html);
  const { issues } = caniemail({ clients: ["gmail.*", "outlook.*", "apple-mail.*"], html });
  const unsupported = new Set();
  for (const [client, features] of issues.errors) {
    for (const { title } of features) unsupported.add(`${title} in ${client}`);
  }
  answer[name] = {
    invalid: report.results.flatMap((r) => r.messages).map((m) => `${m.line}: ${m.ruleId}: ${m.message}`),
    unsupported: [...unsupported].sort(),
  };
}
process.stdout.write(JSON.stringify(answer));
