// Unpacks the Chromium of @sparticuz/chromium into TMPDIR, and what a bare Linux lacks: libraries and fonts.
import { copyFileSync, globSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import chromium, { inflate } from "../../infra/node_modules/@sparticuz/chromium/build/index.js";

const MODULES = join(import.meta.dirname, "../../infra/node_modules");
const FONTS = join(process.env.TMPDIR, "fonts");

await chromium.executablePath();
// The package does this by itself on Amazon Linux only.
await inflate(join(MODULES, "@sparticuz/chromium/bin/al2023.tar.br"));

// Its only font is a Latin one, and its fonts.conf is made for Lambda.
for (const font of globSync("@embedpdf/*/fonts/*-{Regular,Bold}.*", { cwd: MODULES })) {
  copyFileSync(join(MODULES, font), join(FONTS, basename(font)));
}
writeFileSync(
  join(FONTS, "fonts.conf"),
  '<fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include><dir prefix="relative">.</dir></fontconfig>\n',
);
