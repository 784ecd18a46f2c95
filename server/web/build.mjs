// Bundles the page into dist/: one script and one style sheet, named by their content, and the document that loads them.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { build } from "esbuild";

const here = new URL("./", import.meta.url);
const dist = new URL("dist/", here);

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
const { metafile } = await build({
  absWorkingDir: new URL(".", here).pathname,
  entryPoints: ["src/main.ts", "src/style.css"],
  outdir: "dist/assets",
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2023"],
  metafile: true,
  logLevel: "warning",
});

const assets = Object.keys(metafile.outputs).map((path) => basename(path));
const named = (prefix, suffix) => assets.find((name) => name.startsWith(prefix) && name.endsWith(suffix));
const source = await readFile(new URL("src/index.html", here), "utf8");
const document = source
  .replace("assets/style.css", `assets/${named("style-", ".css")}`)
  .replace("assets/main.js", `assets/${named("main-", ".js")}`);
await writeFile(new URL("index.html", dist), document);
