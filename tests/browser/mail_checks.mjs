// Reads {name: html} from stdin, writes {name: {invalid: [...], unsupported: [...], unknown: [...]}}: what
// html-validate finds, which features (caniemail.com's data) a big client drops, and of which properties that
// data knows nothing.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../../infra/package.json", import.meta.url));
const { HtmlValidate, StaticConfigLoader } = require("html-validate");
const library = pathToFileURL(require.resolve("caniemail"));
const { caniemail } = await import(library);
// What it takes a property for; a property that it takes for nothing is not judged.
const { getMatchingPropertyTitles } = await import(new URL("css-titles.js", library));

const validator = new HtmlValidate(
  new StaticConfigLoader({
    root: true,
    extends: ["html-validate:standard"],
    // Outlook for Windows lays out with the attributes that HTML 5 replaced by CSS.
    rules: { "no-deprecated-attr": "off" },
  }),
);

const clients = ["gmail.*", "outlook.*", "apple-mail.*"];
// caniemail looks at no rule inside of @media.
const withoutMedia = (html) => html.replace(/@media[^{]+\{((?:[^{}]+\{[^{}]*\}\s*)*)\}/g, "$1");
const styles = (html) => [...html.matchAll(/\bstyle="([^"]*)"|<style>(.*?)<\/style>/gs)].map((m) => m[1] ?? m[2]);
const properties = (css) => [...css.matchAll(/(?:^|[;{])\s*([a-z-]+)\s*:/g)].map((m) => m[1]);

const answer = {};
for (const [name, html] of Object.entries(JSON.parse(await text(process.stdin)))) {
  const report = await validator.validateString(html);
  const unsupported = new Set();
  for (const version of [html, withoutMedia(html)]) {
    for (const [client, features] of caniemail({ clients, html: version }).issues.errors) {
      for (const { title } of features) unsupported.add(`${title} in ${client}`);
    }
  }
  const used = new Set(styles(withoutMedia(html)).flatMap(properties));
  answer[name] = {
    invalid: report.results.flatMap((r) => r.messages).map((m) => `${m.line}: ${m.ruleId}: ${m.message}`),
    unsupported: [...unsupported].sort(),
    unknown: [...used].filter((propertyName) => !getMatchingPropertyTitles({ propertyName }).length).sort(),
  };
}
process.stdout.write(JSON.stringify(answer));
