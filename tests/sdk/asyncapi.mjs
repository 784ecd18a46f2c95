// Exits 1, with the errors on stderr, unless the AsyncAPI document is one.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const source = await readFile(new URL("../../contracts/schema/asyncapi.json", import.meta.url), "utf8");
const { document, diagnostics } = await new Parser().parse(source);
const errors = diagnostics.filter(({ severity }) => severity === 0);
for (const { code, message, path } of errors) console.error(code, path.join("."), message);
process.exit(document && errors.length === 0 ? 0 : 1);
